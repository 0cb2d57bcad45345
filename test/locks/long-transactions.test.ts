import 'fake-indexeddb/auto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openDB } from 'idb'
import { afterEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../src/locks/clock.ts'
import { createLocks } from '../../src/locks/create.ts'
import type { Guard, HeldLock, Locks, LocksOptions } from '../../src/locks/types.ts'
import type { FencedStore, Store } from '../../src/store.ts'
import { fenceStore, indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

/** A time longer than the lease at the default options, in ms. */
const migration = 20_000

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A clock with the real time, which a test can advance. */
function makeClock(): { clock: Clock; take(ms: number): void } {
  let more = 0
  return {
    clock: { ...systemClock, now: () => Date.now() + more, monotonic: () => performance.now() + more },
    take(ms) {
      more += ms
    },
  }
}

function open(store: Store, options: Partial<LocksOptions> = {}): { locks: Locks; take(ms: number): void } {
  const { clock, take } = makeClock()
  const locks = createLocks({ store, clock, ...options })
  cleanUps.push(() => locks.close())
  return { locks, take }
}

function inFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  cleanUps.push(() => rmSync(folder, { recursive: true }))
  return folder
}

function ofHandle(): { db: Database.Database; store: FencedStore<Database.Database> } {
  const db = new Database(join(inFolder(), 'app.db'))
  db.pragma('journal_mode = WAL')
  const store = sqliteStore(db)
  cleanUps.push(
    () => db.close(),
    () => store.close(),
  )
  return { db, store }
}

const stores: Record<string, () => FencedStore<never>> = {
  memory: () => memoryStore() as FencedStore<unknown> as FencedStore<never>,
  'SQLite, by a path': () => {
    const store = sqliteStore(join(inFolder(), 'app.db'))
    cleanUps.push(() => store.close())
    return store as FencedStore<unknown> as FencedStore<never>
  },
  'SQLite, by a handle': () => ofHandle().store as FencedStore<unknown> as FencedStore<never>,
  'SQLite, in memory': () => sqliteStore(':memory:') as FencedStore<unknown> as FencedStore<never>,
}

const kinds: Record<string, (locks: Locks) => Promise<HeldLock | Guard>> = {
  shared: (locks) => locks.acquire('k', { mode: 'shared' }),
  're-entrant': (locks) => locks.reentrant('k').acquire(),
  'renewed by hand': (locks) => locks.acquire('k', { renew: 'manual' }),
  'acquired with its own duration': (locks) => locks.acquire('k', { duration: 200 }),
}

describe.each(Object.keys(stores))('on %s a fenced body that takes longer than the duration', (kind) => {
  const make = () => (stores[kind] as () => FencedStore<never>)()

  test('commits, and `request` resolves with its result while the lock is still held', async () => {
    const store = make()
    const { locks, take } = open(store)
    const seen: unknown[] = []
    const result = await locks.request('k', async (lock) => {
      const body = (): string => {
        take(migration)
        seen.push(lock.isHeld(), lock.signal.aborted)
        return 'migrated'
      }
      const said = await store.transaction(lock, body)
      seen.push(lock.isHeld(), lock.signal.aborted)
      return said
    })
    expect(result).toBe('migrated')
    expect(seen).toEqual([true, false, true, false])
  })

  test('loses none of the session’s other locks, and gives observers no evidence of silence', async () => {
    const store = make()
    const { locks, take } = open(store)
    const lock = await locks.acquire('k')
    const other = await locks.acquire('other')
    const seqs = async () => (await store.read('k'))?.sessions.get(lock.session)?.seq
    const before = await seqs()
    await store.transaction(lock, () => take(migration))
    expect(other.isHeld()).toBe(true)
    expect(await seqs()).toBeGreaterThan(before ?? Infinity)
  })

  test.each(Object.keys(kinds))('keeps a lock that is %s', async (name) => {
    const store = make()
    const { locks, take } = open(store)
    const lock = await kinds[name]?.(locks)
    if (!lock) throw new Error('no lock')
    await store.transaction(lock, () => take(migration))
    expect(lock.isHeld()).toBe(true)
  })

  test('and then throws writes nothing, and the lock stays held', async () => {
    const store = make()
    const { locks, take } = open(store)
    const lock = await locks.acquire('k')
    const mistake = new Error('a mistake')
    const body = (): void => {
      take(migration)
      throw mistake
    }
    await expect(store.transaction(lock, body)).rejects.toBe(mistake)
    await expect.poll(() => lock.isHeld()).toBe(true)
  })
})

describe('on SQLite a user’s transaction that has checked a lock and takes longer than the duration', () => {
  test('commits, and the lock is held once a renewal has succeeded', async () => {
    const { db, store } = ofHandle()
    const { locks, take } = open(store)
    const seen: unknown[] = []
    await locks.request('k', async (lock) => {
      db.transaction(() => {
        store.check(db, lock)
        take(migration)
      })()
      seen.push(lock.signal.aborted)
      await expect.poll(() => lock.isHeld()).toBe(true)
    })
    expect(seen).toEqual([false])
  })

  test('may stay open over turns of the event loop', async () => {
    const { db, store } = ofHandle()
    const { locks, take } = open(store)
    const lock = await locks.acquire('k')
    db.exec('BEGIN')
    store.check(db, lock)
    take(migration)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([false, false])
    db.exec('COMMIT')
    await expect.poll(() => lock.isHeld()).toBe(true)
  })

  test('loses the lock if another session has stolen it afterwards', async () => {
    const { db, store } = ofHandle()
    const { locks, take } = open(store)
    const { locks: others } = open(store)
    const lock = await locks.acquire('k')
    db.transaction(() => {
      store.check(db, lock)
      take(migration)
    })()
    const robber = await others.acquire('k', { steal: true })
    await expect.poll(() => lock.signal.aborted).toBe(true)
    expect([robber.isHeld(), lock.signal.reason]).toEqual([true, expect.objectContaining({ code: 'lost' })])
  })
})

describe('on IndexedDB a fenced body that takes longer than the duration', () => {
  let count = 0
  const make = async () => {
    const db = await openDB(`long ${count++}`, 1, {
      upgrade(db) {
        db.createObjectStore('notes')
        upgradeIndexedDB(db)
      },
    })
    cleanUps.push(() => db.close())
    return { db, store: indexedDBStore(db) }
  }

  test('commits, and `request` resolves with its result while the lock is still held', async () => {
    const { store } = await make()
    const { locks, take } = open(store)
    const seen: unknown[] = []
    const result = await locks.request('k', async (lock) => {
      const said = await store.transaction(lock, async (tx) => {
        await tx.objectStore('notes').put('begun', 'migration')
        take(migration)
        seen.push(lock.isHeld(), lock.signal.aborted)
        await tx.objectStore('notes').put('done', 'migration')
        return 'migrated'
      })
      seen.push(lock.isHeld(), lock.signal.aborted)
      return said
    })
    expect(result).toBe('migrated')
    // While the transaction is open, nothing tells when it will end, so the lock is in doubt.
    expect(seen).toEqual([false, false, true, false])
  })

  test('leaves the lock in doubt until the transaction has ended, also if the user began it', async () => {
    const { db, store } = await make()
    const { locks, take } = open(store)
    const lock = await locks.acquire('k')
    const tx = db.transaction(['notes', fenceStore], 'readwrite')
    await store.check(tx, lock)
    take(migration)
    await tx.objectStore('notes').put('done', 'migration')
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([false, false])
    await tx.done
    await expect.poll(() => lock.isHeld()).toBe(true)
  })

  test('loses the lock only if another session has really taken it meanwhile', async () => {
    const { db, store } = await make()
    const { locks, take } = open(store)
    const { locks: others } = open(store)
    const lock = await locks.acquire('k')
    let robbing: Promise<HeldLock> | undefined
    await store.transaction(lock, async (tx) => {
      await tx.objectStore('notes').put('begun', 'migration')
      robbing = others.acquire('k', { steal: true })
      take(migration)
      await tx.objectStore('notes').put('done', 'migration')
    })
    expect(await db.getAll('notes')).toEqual(['done'])
    expect((await robbing)?.isHeld()).toBe(true)
    await expect.poll(() => lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })
})
