import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLocks, type LockError, type Locks } from '../src/index.ts'
import type { VerifyReply } from '../src/server/wire.ts'
import { type HttpStore, httpStore } from '../src/stores/http.ts'
import { killAll, startContext } from './processes/start.ts'
import { logOf } from './server/log.ts'
import { killServers, startServer } from './server/process.ts'

// A lock server in a process of its own, over a SQLite file. Times in ms.

let folder: string
let file: string
let closing: { close(): Promise<void> }[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'storelock-'))
  file = join(folder, 'locks.db')
  closing = []
})

afterEach(async () => {
  // Without the servers, closing the clients needs no requests.
  await killServers()
  for (const each of closing.reverse()) await each.close()
  await killAll()
  await rm(folder, { recursive: true, force: true })
})

interface Client {
  readonly store: HttpStore
  readonly locks: Locks
}

function clientOf(url: string, options: { duration?: number; maxBackoff?: number } = {}): Client {
  const store = httpStore(url)
  const locks = createLocks({ store, ...options })
  closing.push(store, locks)
  return { store, locks }
}

const portOf = (url: string): number => Number(new URL(url).port)

async function queued(count: number, { locks }: { locks: Locks }): Promise<void> {
  while ((await locks.query('l')).pending.length !== count);
}

test('killed under load and restarted, it loses no lock, grants no lock twice, and its log has every grant that a client got', {
  timeout: 120_000,
}, async () => {
  let server = await startServer(file)
  const { url } = server
  const keeper = clientOf(url, { duration: 60_000 })
  const kept = await keeper.locks.acquire('kept')
  const ledgers = new Map([
    ['key 0', ledger()],
    ['key 1', ledger()],
  ])
  const granted: { key: string; token: number }[] = []
  const faults: unknown[] = []
  let over = false
  let restarted: Promise<unknown> = Promise.resolve()

  /** Waits for a call, which may fail while there is no server. @returns its result, or undefined if it failed */
  const tried = <T>(asked: Promise<T>): Promise<T | undefined> =>
    asked.catch(async (error) => {
      if (error.code !== 'store') faults.push(error)
      await restarted
      return undefined
    })

  const work = async ({ locks }: { locks: Locks }, key: string): Promise<void> => {
    const { enter, write } = ledgers.get(key) as Ledger
    while (!over) {
      const lock = await tried(locks.acquire(key))
      if (!lock) continue
      granted.push({ key, token: lock.token })
      if (lock.isHeld() && !enter(lock.token)) faults.push(`${key} is held with ${lock.token}, and was with that or a higher token before`)
      const saw = ledgers.get(key)?.value ?? 0
      await new Promise((resolve) => setImmediate(resolve))
      write(lock.token, saw + 1)
      await tried(lock.release())
    }
  }
  const workers = Array.from({ length: 8 }, (_, n) => work(clientOf(url, { duration: 2_000, maxBackoff: 100 }), `key ${n % 2}`))
  for (let round = 1; round <= 3; round++) {
    while (granted.length < round * 60) await new Promise((resolve) => setImmediate(resolve))
    restarted = server.kill().then(async () => {
      server = await startServer(file, portOf(url))
    })
    await restarted
  }
  while (granted.length < 240) await new Promise((resolve) => setImmediate(resolve))
  over = true
  await Promise.all(workers)
  expect(faults).toEqual([])
  for (const { value, writes } of ledgers.values()) expect(value).toBe(writes)

  await kept.renew()
  expect(kept.isHeld()).toBe(true)
  const body = JSON.stringify({ key: 'kept', lockToken: keeper.store.lockToken(kept) })
  const verified = await fetch(`${url}/v1/verify`, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  expect((await verified.json()) as VerifyReply).toMatchObject({ valid: true, token: kept.token })
  const logged = new Set((await logOf(url)).filter(({ kind }) => kind === 'grant').map(({ key, token }) => `${key} ${token}`))
  expect(granted.filter(({ key, token }) => !logged.has(`${key} ${token}`))).toEqual([])
})

interface Ledger {
  /** The value after all writes: equal to `writes` if no write was lost. */
  readonly value: number
  readonly writes: number
  /** Call it when a holder begins. @returns whether its token is higher than all before */
  enter(token: number): boolean
  /** Ignores a write with a token that is lower than one seen before. */
  write(token: number, value: number): void
}

/** A resource that a lock protects. It refuses late writes. */
function ledger(): Ledger {
  let [highest, value, writes] = [0, 0, 0]
  return {
    get value() {
      return value
    },
    get writes() {
      return writes
    },
    enter(token) {
      if (token <= highest) return false
      highest = token
      return true
    },
    write(token, next) {
      if (token < highest) return
      highest = token
      value = next
      writes++
    },
  }
}

test('while it is stopped its clients lose their locks at their deadlines and nothing else happens; afterwards they work again', async () => {
  const server = await startServer(file)
  const [holder, waiter] = [clientOf(server.url, { duration: 500 }), clientOf(server.url)]
  const lock = await holder.locks.acquire('l')
  const waiting = waiter.locks.acquire('l')
  await queued(1, waiter)
  let served = false
  waiting.then(() => {
    served = true
  })
  const lost = new Promise<LockError>((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason)))
  server.signal('SIGSTOP')
  expect(await lost).toMatchObject({ code: 'lost' })
  expect([lock.isHeld(), served]).toEqual([false, false])
  server.signal('SIGCONT')
  const next = await waiting
  expect(next.token).toBeGreaterThan(lock.token)
  expect(next.isHeld()).toBe(true)
})

test('its waiters notice when it is killed that they get no hints; restarted, it wakes them', async () => {
  const server = await startServer(file)
  const [holder, waiter] = [0, 1].map(() => clientOf(server.url, { duration: 600_000, maxBackoff: 600_000 })) as [Client, Client]
  const lock = await holder.locks.acquire('l')
  const waiting = waiter.locks.acquire('l')
  await queued(1, waiter)
  /** Resolves when both clients have reported that their hints are missing, or that they are back. */
  const both = (isSo: (why: string | undefined) => boolean): Promise<unknown> =>
    Promise.all([holder, waiter].map(({ store }) => new Promise<void>((resolve) => store.onDegraded?.((why) => isSo(why) && resolve()))))
  const gone = both((why) => why?.startsWith('no hints for now') === true)
  await server.kill()
  await gone
  const back = both((why) => why === undefined)
  await startServer(file, portOf(server.url))
  await back
  await lock.release()
  // The test times out before the next look, so only a hint can wake the waiter.
  expect((await waiting).isHeld()).toBe(true)
})

test('it sees the proof that a process on the same file is dead, and passes its lock on long before the lease ends', async () => {
  const holder = await startContext({ file, duration: 60_000, maxBackoff: 1_000 })
  await holder.does.acquire('l')
  const server = await startServer(file)
  const waiter = clientOf(server.url, { maxBackoff: 60_000 })
  const waiting = waiter.locks.acquire('l')
  await queued(1, waiter)
  // The test times out before the lease ends, so only a proof of death can free the lock.
  await killAll()
  expect((await waiting).isHeld()).toBe(true)
})
