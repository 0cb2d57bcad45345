import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLocks, type LockError, type Locks } from '../../src/index.ts'
import { type LockServer, serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd } from './world.ts'

/** Locks over HTTP whose waiters look so rarely that only hints can wake them. */
function locksAt(
  { url }: LockServer,
  options: { maxBackoff?: number; duration?: number } = {},
): { locks: Locks; store: ReturnType<typeof httpStore> } {
  const store = atEnd(httpStore(url))
  return { store, locks: atEnd(createLocks({ store, maxBackoff: 30_000, ...options })) }
}

/** Resolves when the lock has this many waiters. */
async function waiters(store: Store, count: number): Promise<void> {
  for (;;) {
    const queue = (await store.read('k'))?.queue ?? []
    if (queue.reduce((sum, { from, to }) => sum + to - from + 1, 0) === count) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('L5: a release hands the lock to the next client in the queue', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const [a, b] = [locksAt(server), locksAt(server)]
  const first = await a.locks.acquire('k')
  const next = b.locks.acquire('k')
  await waiters(store, 1)
  await first.release()
  const second = await next
  expect(second.token).toBeGreaterThan(first.token)
  await second.renew()
  expect(second.isHeld()).toBe(true)
})

test('L5: `whenFree` gets a hint about the release, without polling', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const rarely = { duration: 600_000, maxBackoff: 600_000 }
  const [a, b] = [locksAt(server, rarely), locksAt(server, rarely)]
  const lock = await a.locks.acquire('k')
  const asked = new Promise((resolve) => store.channel.subscribe(lock.session, ({ watch }) => watch !== undefined && resolve(watch)))
  const free = b.locks.whenFree('k')
  await asked
  await lock.release()
  await free
})

test('L1: a client and a session at the store itself wait for each other', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const local = atEnd(createLocks({ store, maxBackoff: 30_000 }))
  const remote = locksAt(server)
  const first = await local.acquire('k')
  const second = remote.locks.acquire('k')
  await waiters(store, 1)
  await first.release()
  const held = await second
  const third = local.acquire('k')
  await waiters(store, 1)
  await held.release()
  expect((await third).isHeld()).toBe(true)
})

test('L5: the lockToken of a held lock shows the holder until the lock is released', async () => {
  const server = atEnd(await serve(memoryStore()))
  const { locks, store } = locksAt(server)
  const lock = await locks.acquire('k')
  const lockToken = store.lockToken(lock)
  expect(await server.verify('k', lockToken)).toMatchObject({ valid: true, token: lock.token, mode: 'exclusive', holder: { session: lock.session } })
  expect(await server.verify('other', lockToken)).toEqual({ valid: false, why: 'forged' })
  await lock.release()
  expect(await server.verify('k', lockToken)).toEqual({ valid: false, why: 'not-held' })
  expect(() => store.lockToken(lock)).toThrow(/no hold/)
})

test('a lock outlives a restart of its server, with its lockToken', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const store = atEnd(sqliteStore(join(folder, 'locks.db')))
  const first = await serve(store)
  const remote = locksAt(first)
  const lock = await remote.locks.acquire('k')
  const lockToken = remote.store.lockToken(lock)
  await first.close()
  const second = atEnd(await serve(store, { port: Number(new URL(first.url).port) }))
  expect(await second.verify('k', lockToken)).toMatchObject({ valid: true })
  await lock.renew()
  expect(lock.isHeld()).toBe(true)
  await lock.release()
  expect((await store.read('k'))?.holders).toEqual([])
})

test('a lock is lost at its deadline when its server is gone', async () => {
  const server = await serve(memoryStore())
  const { locks } = locksAt(server, { duration: 500 })
  const lock = await locks.acquire('k')
  const lost = new Promise<LockError>((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason)))
  await server.close()
  expect(await lost).toMatchObject({ code: 'lost' })
  expect(lock.isHeld()).toBe(false)
})

test('F4: a holder that falls silent is evicted by the server, on the server’s own evidence', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  await store.apply([
    { type: 'beat', session: 'silent', client: 'c', lease: 400, opens: true },
    { type: 'request', key: 'k', session: 'silent', client: 'c', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  const { locks } = locksAt(server)
  expect((await locks.acquire('k')).isHeld()).toBe(true)
})

test('F4: a page that ends its session hands its locks on', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const [a, b] = [locksAt(server), locksAt(server)]
  const { session } = await a.locks.acquire('k')
  const next = b.locks.acquire('k')
  await waiters(store, 1)
  await a.store.apply([{ type: 'end', session }])
  expect((await next).isHeld()).toBe(true)
})

test('a look at one key shows nothing about sessions that only use other keys', async () => {
  const server = atEnd(await serve(memoryStore()))
  const [a, b] = [locksAt(server), locksAt(server)]
  const [held, other] = [await a.locks.acquire('k'), await b.locks.acquire('other')]
  const rows = await b.store.rows?.([other.session, held.session], 'k')
  expect([...(rows?.keys() ?? [])]).toEqual([held.session])
  expect([...((await b.store.rows?.([other.session, held.session], 'other'))?.keys() ?? [])]).toEqual([other.session])
})
