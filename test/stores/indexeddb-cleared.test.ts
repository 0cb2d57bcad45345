import 'fake-indexeddb/auto'
import { openDB } from 'idb'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLocks, type HeldLock, type Locks } from '../../src/index.ts'
import type { Command } from '../../src/protocol/index.ts'
import { type IndexedDBStore, indexedDBStore } from '../../src/stores/indexeddb.ts'
import { lease } from '../protocol/shelf.ts'

let count = 0
let name: string
let stores: IndexedDBStore<IDBDatabase>[]
let all: Locks[]

beforeEach(() => {
  name = `cleared ${count++}`
  stores = [indexedDBStore(name), indexedDBStore(name)]
  // Beats are sent every 30 s, which is longer than any test takes.
  all = stores.map((store) => createLocks({ store, duration: 300_000, maxBackoff: 20 }))
})

afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(all.map((locks) => locks.close()))
  await Promise.all(stores.map((store) => store.close()))
})

async function clear(...objectStores: string[]): Promise<void> {
  const db = await openDB(name)
  const tx = db.transaction(objectStores, 'readwrite')
  for (const objectStore of objectStores) tx.objectStore(objectStore).clear()
  await tx.done
  db.close()
}

const aborted = ({ signal }: HeldLock): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })

describe('a lock whose record was deleted', () => {
  test.each([
    ['never had the lock', 0],
    ['had the lock before and relies on its cache', 4],
  ])('is taken from its holder by the next session, which %s', async (_, turns) => {
    const [one, two] = all as [Locks, Locks]
    for (let turn = 0; turn < turns; turn++) await (await two.acquire('k')).release()
    const lock = await one.acquire('k')
    await clear('storelock-records')
    const next = await two.acquire('k')
    expect(next.token).toBeGreaterThan(lock.token)
    await aborted(lock)
    expect([lock.isHeld(), next.isHeld()]).toEqual([false, true])
    await next.release()
  })

  test('is lost for a holder without hints at its next beat', async () => {
    const [store] = stores as [IndexedDBStore<IDBDatabase>]
    const beat = (session: string): Command => ({ type: 'beat', session, client: 'c', lease, opens: true })
    const request = (session: string): Command => ({ type: 'request', key: 'k', session, client: 'c', number: 1, mode: 'exclusive', confirm: 500 })
    await store.apply([beat('a'), beat('b'), request('a')])
    await clear('storelock-records')
    expect(await store.apply([request('b')])).toMatchObject([{ type: 'granted', evicted: [{ session: 'a' }] }])
    expect(await store.apply([beat('a')])).toMatchObject([{ session: { evictions: 1, news: ['k'] } }])
  })

  test('does not affect other locks if it had been released before', async () => {
    const [one, two] = all as [Locks, Locks]
    await (await one.acquire('k')).release()
    const other = await one.acquire('other')
    await clear('storelock-records')
    await (await two.acquire('k')).release()
    expect(other.isHeld()).toBe(true)
    await other.release()
  })

  test('costs no extra read to detect: a lock with a record is acquired without a read of the fence', async () => {
    const [one] = all as [Locks]
    await (await one.acquire('k')).release()
    const get = vi.spyOn(IDBObjectStore.prototype, 'get')
    await (await one.acquire('k')).release()
    expect(get.mock.contexts.map((objectStore) => (objectStore as IDBObjectStore).name)).not.toContain('storelock-fence')
  })
})

test('sessions whose rows were deleted notice that as soon as another session opens', async () => {
  const [one, two] = all as [Locks, Locks]
  const lock = await one.acquire('k')
  await clear('storelock-sessions')
  const next = await two.acquire('k')
  await aborted(lock)
  expect([lock.isHeld(), next.isHeld()]).toEqual([false, true])
})
