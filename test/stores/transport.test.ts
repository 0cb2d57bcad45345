import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { promisify } from 'node:util'
import { serve } from 'storelock/server'
import { memoryStore } from 'storelock/stores/memory'
import { expect, onTestFinished, test } from 'vitest'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { transportTo } from '../../src/transport.ts'
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

/** A server that keeps its connections for a minute. @returns its URL, and the sockets of all connections so far */
async function patientServer(listener: RequestListener): Promise<{ url: string; sockets: Socket[] }> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener)
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

/** Something between a client and its server may forget an idle connection without a word, so the client closes it first. */
test('a connection serves several requests, and is closed once it has been idle for 4 s', async () => {
  const { url, sockets } = await patientServer((_, response) => response.end('yes'))
  const transport = transportTo(url)
  for (let count = 0; count < 3; count++) {
    expect(await transport.ask('/', { method: 'GET', headers: {} }).answer).toEqual({ status: 200, text: 'yes' })
    // The connection is free again in the next turn.
    await new Promise(setImmediate)
  }
  expect(sockets).toHaveLength(1)
  const idleSince = performance.now()
  await once(sockets[0] as Socket, 'close')
  expect(performance.now() - idleSince).toBeGreaterThan(3_500)
})

test('a watch that etcd refuses leaves no connection, though the answer does not end', async () => {
  const { url, sockets } = await patientServer((_, response) => {
    response.writeHead(503)
    response.write('{}')
  })
  const client = new EtcdClient([url], {})
  const why = await new Promise((resolve) => client.watch('key', { heard() {}, state: resolve }))
  expect(why).toBe('HTTP 503')
  const [first] = sockets
  if (!first?.destroyed) await once(first as Socket, 'close')
  client.close()
})
