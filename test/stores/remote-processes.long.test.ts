import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { etcdStore } from '../../src/stores/etcd.ts'
import { redisStore } from '../../src/stores/redis.ts'
import { lendEtcd } from '../servers/etcd.ts'
import { lendRedis } from '../servers/redis.ts'

const script = fileURLToPath(new URL('hammer-remote.ts', import.meta.url))
const started = new Set<ChildProcess>()
afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  started.clear()
})

const kinds = [
  ['redis', 'Redis', lendRedis, redisStore],
  ['etcd', 'etcd', lendEtcd, etcdStore],
] as const

describe.each(kinds)('%s: processes', (kind, _, lend, makeStore) => {
  let server: Awaited<ReturnType<typeof lend>>
  let prefix = ''
  beforeAll(async () => {
    server = await lend()
  })
  afterAll(() => server.remove())

  const args = (turns: number): string[] => ['--import', 'tsx', script, kind, server.url, prefix, String(turns)]
  const begin = (name: string) => {
    prefix = `test ${process.pid} ${name}`
    const store = makeStore(server.url, { prefix })
    return { store, locks: createLocks({ store, duration: 5_000 }) }
  }

  /** Starts a process that holds the lock until it is killed. */
  const startHolder = async (): Promise<{ child: ChildProcess; token: number }> => {
    const child = spawn(process.execPath, args(0), { stdio: ['ignore', 'pipe', 'inherit'] })
    started.add(child)
    const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
    return { child, token: Number(said.toString()) }
  }

  test('lose no increment and see no error, and their tokens rise', { timeout: 120_000 }, async () => {
    const { store, locks } = begin('steps')
    const turns = 25
    const outputs = await Promise.all([1, 2, 3, 4].map(() => promisify(execFile)(process.execPath, args(turns))))
    expect(outputs.map(({ stderr }) => stderr)).toEqual(['', '', '', ''])
    const tokens = outputs.map(({ stdout }) => JSON.parse(stdout) as number[])
    for (const own of tokens) expect(own).toEqual([...own].sort((a, b) => a - b))
    expect(new Set(tokens.flat()).size).toBe(4 * turns)
    const lock = await locks.acquire('job')
    const counted =
      kind === 'redis'
        ? await (store as ReturnType<typeof redisStore>).transaction(lock, (tx) => tx.call('GET', `{${prefix}} counter`))
        : await (store as ReturnType<typeof etcdStore>).transaction(lock, (tx) => tx.get(`${prefix} counter`))
    expect(Number(counted.value)).toBe(4 * turns)
    expect(await store.read('job')).toMatchObject({ queue: [] })
    await locks.close()
    await store.close()
  })

  test.runIf(process.platform === 'linux')(
    'lose the lock at once when they are killed, and not when they are stopped',
    { timeout: 60_000 },
    async () => {
      const { store, locks } = begin('kills')
      const took: number[] = []
      for (let turn = 0; turn < 5; turn++) {
        const { child, token } = await startHolder()
        const waiting = locks.acquire('job')
        expect(await locks.tryAcquire('job', { timeout: 200 })).toBeNull()
        if (turn === 0) {
          child.kill('SIGSTOP')
          expect(await locks.tryAcquire('job', { timeout: 300 })).toBeNull()
          child.kill('SIGCONT')
        }
        const start = performance.now()
        child.kill('SIGKILL')
        const lock = await waiting
        took.push(performance.now() - start)
        expect(lock.token).toBeGreaterThan(token)
        await lock.release()
      }
      await locks.close()
      await store.close()
      expect(took.sort((a, b) => a - b)[2]).toBeLessThan(300)
      console.log(`${kind}: take-over after SIGKILL: ${took.map(Math.round)} ms`)
    },
  )

  test('that are stopped for a lease lose the lock, and can no longer write', { timeout: 60_000 }, async () => {
    const { store, locks } = begin('stops')
    const { child, token } = await startHolder()
    child.kill('SIGSTOP')
    const lock = await locks.acquire('job')
    expect(lock.token).toBeGreaterThan(token)
    const old = { name: 'job', key: 'job', session: (await store.read('job'))?.holders[0]?.session ?? '', token, assertHeld() {} }
    await expect(store.transaction(old, () => {})).rejects.toMatchObject({ code: 'lost' })
    child.kill('SIGKILL')
    await locks.close()
    await store.close()
  })

  test('are woken when another process releases', { timeout: 60_000 }, async () => {
    const { store, locks } = begin('wakes')
    const other = createLocks({ store: makeStore(server.url, { prefix }), duration: 5_000, maxBackoff: 4_000 })
    const took: number[] = []
    for (let turn = 0; turn < 20; turn++) {
      const lock = await locks.acquire('job')
      const waiting = other.acquire('job')
      await vi.waitFor(async () => expect((await store.read('job'))?.queue).toHaveLength(1))
      await new Promise((resolve) => setTimeout(resolve, 50))
      const start = performance.now()
      const released = lock.release()
      const next = await waiting
      took.push(performance.now() - start)
      await released
      await next.release()
    }
    took.sort((a, b) => a - b)
    console.log(`${kind}: hand-off ${took[10]?.toFixed(2)} ms, at most ${took[19]?.toFixed(2)}`)
    expect(took[10]).toBeLessThan(50)
    await other.close()
    await locks.close()
    await store.close()
  })
})
