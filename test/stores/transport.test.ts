import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { serve } from 'storelock/server'
import { memoryStore } from 'storelock/stores/memory'
import { expect, test } from 'vitest'
import { lendEtcd } from '../servers/etcd.ts'

/** Runs a module in a process of its own. @returns whether it has loaded Node's `fetch` */
async function loadsFetch(text: string): Promise<boolean> {
  const say = `console.log(process.moduleLoadList.some((name) => name.endsWith('undici/undici')))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', `${text};${say}`])
  return JSON.parse(stdout)
}

/** Waits for a lock until a hint comes, which a stream brings. */
const useLock = (store: string): string => `
  import { createLocks } from 'storelock'
  ${store}
  const [one, other] = [createLocks({ store, maxBackoff: 600_000 }), createLocks({ store, maxBackoff: 600_000 })]
  const lock = await one.acquire('job')
  const waiting = other.acquire('job')
  await lock.release()
  await waiting
  await Promise.all([one.close(), other.close()])
  await store.close()`

/** Node's `fetch` takes as much CPU time as the start of Node, which matters for a command that runs once. */
test('the stores that talk HTTP use it without loading Node’s fetch', { timeout: 60_000 }, async () => {
  expect(await loadsFetch(`await fetch('data:,')`)).toBe(true)
  const server = await serve(memoryStore())
  expect(await loadsFetch(useLock(`import { httpStore } from 'storelock/stores/http'; const store = httpStore('${server.url}')`))).toBe(false)
  await server.close()
  const etcd = await lendEtcd()
  expect(await loadsFetch(useLock(`import { etcdStore } from 'storelock/stores/etcd'; const store = etcdStore('${etcd.url}')`))).toBe(false)
  await etcd.remove()
})
