import 'fake-indexeddb/auto'
import { deleteDB, type IDBPDatabase, openDB, unwrap } from 'idb'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLocks, type HeldLock, type Locks } from '../../src/index.ts'
import type { Command, LockError } from '../../src/protocol/index.ts'
import { restTurns } from '../../src/stores/indexeddb/turn.ts'
import { indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'
import { hang, tear, tearAt } from './tearing.ts'

let count = 0
let name: string

beforeEach(() => {
  name = `connection ${count++}`
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

const beat: Command = { type: 'beat', session: 'a', client: 'c', lease: 1_000, opens: true }
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: LockError) => error.code,
  )
/** Watches the use of databases. @returns a function that gives the one used last */
function watchUse(): () => IDBDatabase {
  const transaction = vi.spyOn(IDBDatabase.prototype, 'transaction')
  return () => transaction.mock.contexts.at(-1) as IDBDatabase
}
const openUsers = (version = 1): Promise<IDBPDatabase> =>
  openDB(name, version, {
    upgrade(db) {
      if (!db.objectStoreNames.contains('notes')) db.createObjectStore('notes')
      upgradeIndexedDB(db)
    },
  })
const aborted = (lock: HeldLock): Promise<LockError> =>
  new Promise((resolve) => {
    if (lock.signal.aborted) resolve(lock.signal.reason as LockError)
    lock.signal.addEventListener('abort', () => resolve(lock.signal.reason as LockError))
  })

describe('a connection that the browser closes by force', () => {
  test('rejects all pending calls, and the store opens another connection', async () => {
    const used = watchUse()
    const store = indexedDBStore(name)
    await store.apply([beat])
    const torn = [store.apply([beat]), store.read('k'), store.list()]
    tear(used())
    expect(await Promise.all(torn.map(codeOf))).toEqual(['store', 'store', 'store'])
    expect(await store.apply([beat])).toMatchObject([{ type: 'beaten' }])
    await store.close()
  })

  test('rejects a fenced transaction whose body waits for it', async () => {
    const db = await openUsers()
    const store = indexedDBStore(db)
    const locks = createLocks({ store })
    const lock = await locks.acquire('l')
    const used = watchUse()
    const written = store.transaction(lock, ['notes'], async (tx) => {
      await tx.objectStore('notes').get('x')
      tear(used())
      await tx.objectStore('notes').get('x')
    })
    expect(await codeOf(written)).toBe('store')
    await locks.close()
  })

  test('ends the session at once: holders are notified, waiters request again and are served', async () => {
    const used = watchUse()
    const store = indexedDBStore(name)
    const locks = createLocks({ store })
    const lock = await locks.acquire('l')
    const next = locks.acquire('l')
    await locks.query('l')
    const { session } = locks
    tear(used())
    expect((await aborted(lock)).message).toMatch(/the browser has closed its database/)
    expect(lock.isHeld()).toBe(false)
    await (await next).release()
    expect(locks.session).not.toBe(session)
    await locks.close()
    await store.close()
  })

  test('leaves no call unsettled, whichever step it interrupts', { timeout: 120_000 }, async () => {
    let last = 0
    for (let at = 1; at <= last || last === 0; at++) {
      name = `torn ${at} ${count++}`
      const steps = tearAt(at)
      const stores = [indexedDBStore(name), indexedDBStore(name)] as const
      const all = stores.map((store) => createLocks({ store, duration: 300, maxBackoff: 20 })) as [Locks, Locks]
      const calls: Promise<unknown>[] = []
      const call = <T>(made: Promise<T>): Promise<T | undefined> => {
        calls.push(made)
        return made.catch(() => undefined)
      }
      const held = await call(all[0].acquire('l'))
      const waits = [call(all[0].acquire('l')), call(all[1].acquire('l')), call(all[1].request('l', () => 1))]
      // A new session may send the requests in another order.
      const served = waits.map(async (wait) => {
        const lock = await wait
        if (typeof lock === 'object') await call(lock.release())
      })
      await call(all[0].query())
      await (await call(all[1].tryAcquire('l')))?.release().catch(() => {})
      if (held) await call(stores[0].transaction(held, [], async (tx) => void (await tx.objectStore('storelock-fence').get('l'))))
      if (held) await call(held.renew())
      await call(held?.release() ?? Promise.resolve())
      await Promise.all(served)
      await call(all[0].whenFree('l'))
      await Promise.all(all.map((locks) => call(locks.close())))
      await Promise.allSettled(calls)
      for (const store of stores) await store.close()
      last = Math.max(last, steps())
      vi.restoreAllMocks()
    }
    expect(last).toBeGreaterThan(50)
  })
})

describe('a database that is deleted or upgraded by another context', () => {
  test('ends the session before that happens: the holder notices at once, and the session’s row is removed', async () => {
    const store = indexedDBStore(name)
    const locks = createLocks({ store })
    const lock = await locks.acquire('l')
    let upgraded = false
    const upgrade = (): void => {
      upgraded = true
    }
    lock.signal.addEventListener('abort', () => expect(upgraded).toBe(false))
    const next = await openDB(name, 2, { upgrade, blocked: () => expect.fail('blocked') })
    expect(lock.isHeld()).toBe(false)
    expect(await next.count('storelock-sessions')).toBe(0)
    next.close()
    await deleteDB(name)
    await locks.close()
    await store.close()
  })

  test('does not have to wait for a closed store, even in the middle of a call', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat])
    const call = codeOf(store.apply([beat]))
    await store.close()
    const blocked = vi.fn()
    await deleteDB(name, { blocked })
    expect(blocked).not.toHaveBeenCalled()
    expect(await call).toBe('done')
  })

  test('is not created again by a session that is ending', async () => {
    const store = indexedDBStore(name)
    const locks = createLocks({ store })
    await locks.acquire('l')
    await deleteDB(name, { blocked: () => expect.fail('blocked') })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await indexedDB.databases()).map((info) => info.name)).not.toContain(name)
    await locks.close()
    await store.close()
  })
})

describe('an app that closes its own database', () => {
  test.each(['at once', 'later'])(
    'when another context wants to upgrade it, %s, ends the session by that: its lock is free for the next',
    async (when) => {
      const db = await openUsers(1)
      db.addEventListener('versionchange', async () => {
        if (when === 'later') await db.get('notes', 'x')
        db.close()
      })
      const locks = createLocks({ store: indexedDBStore(db) })
      const lock = await locks.acquire('l')
      const wait = locks.acquire('l').catch((error: LockError) => error)
      await locks.query('l')
      const next = await openUsers(2)
      expect(lock.isHeld()).toBe(false)
      expect(await wait).toMatchObject({ code: 'closed', message: expect.stringContaining('indexedDBStore(() => db)') })
      const other = createLocks({ store: indexedDBStore(next) })
      expect(await other.tryAcquire('l', { timeout: 0 })).not.toBeNull()
      await other.close()
      await locks.close()
      next.close()
    },
  )

  test('and provides the reopened one keeps the same `Locks` and their waits', async () => {
    let db: IDBPDatabase | Promise<IDBPDatabase> = await openUsers(1)
    const store = indexedDBStore(() => db)
    const locks = createLocks({ store })
    const lock = await locks.acquire('l')
    const next = locks.acquire('l')
    await locks.query('l')
    ;(db as IDBPDatabase).close()
    expect((await aborted(lock)).code).toBe('lost')
    db = openUsers(2)
    const again = await next
    await store.transaction(again, ['notes'], (tx) => tx.objectStore('notes').put('held', 'n'))
    expect(await (await db).get('notes', 'n')).toBe('held')
    await locks.close()
    ;(await db).close()
  })

  test('and does not open it again gets errors for waiting calls that do not blame another tab', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const db = await openUsers()
    const store = indexedDBStore(() => db)
    const locks = createLocks({ store })
    await locks.query()
    db.close()
    const error = store.read('k').catch((error: LockError) => error)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await error).toMatchObject({ code: 'store', message: expect.stringContaining('the app has not opened it again') })
    await locks.close()
    await store.close()
  })

  test('has to give the name of a database that it opens later', async () => {
    const db = openUsers()
    expect(() => indexedDBStore(() => db)).toThrow(/name/)
    const store = indexedDBStore(() => db, { name })
    expect(await store.apply([beat])).toMatchObject([{ type: 'beaten' }])
    ;(await db).close()
  })
})

describe('a database that does not open', () => {
  const hang = () => vi.spyOn(indexedDB, 'open').mockImplementation(() => new EventTarget() as never)

  test('fails the waiting calls after some seconds, with a warning, and is opened again later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const open = hang()
    const store = indexedDBStore(name)
    const warnings: string[] = []
    const locks = createLocks({ store, onWarning: ({ type, error }) => warnings.push(`${type}: ${error.message}`) })
    const calls = [locks.acquire('l'), locks.tryAcquire('l'), locks.query(), locks.whenFree('l'), store.read('k')]
    const errors = calls.map((call) => call.catch((error: LockError) => error))
    // A query waits for earlier requests and for the end of a session that may have been opened, then makes its own attempt.
    await vi.advanceTimersByTimeAsync(16_000)
    for (const error of await Promise.all(errors)) {
      expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('blocked') })
    }
    expect(warnings).toContainEqual(expect.stringMatching(/^degraded: .*did not open/))
    open.mockRestore()
    vi.useRealTimers()
    await (await locks.acquire('l')).release()
    await locks.close()
    await store.close()
  })

  test('does not keep close() waiting', async () => {
    hang()
    const store = indexedDBStore(name)
    const read = codeOf(store.read('k'))
    await store.close()
    expect(await read).toBe('closed')
  })

  test('in time but later is used if a call waits for it, and closed otherwise', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const real = indexedDB.open.bind(indexedDB)
    const late: (() => void)[] = []
    vi.spyOn(indexedDB, 'open').mockImplementation((...args) => {
      const request = new EventTarget() as IDBOpenDBRequest
      late.push(() => {
        const opening = real(...args)
        opening.onupgradeneeded = () => {
          Object.assign(request, { result: opening.result })
          request.onupgradeneeded?.({} as never)
        }
        opening.onsuccess = () => {
          Object.assign(request, { result: opening.result })
          request.onsuccess?.({} as never)
        }
      })
      return request
    })
    const close = vi.spyOn(IDBDatabase.prototype, 'close')
    const store = indexedDBStore(name)
    const first = codeOf(store.read('k'))
    await vi.advanceTimersByTimeAsync(6_000)
    expect(await first).toBe('store')
    const second = codeOf(store.read('k'))
    await vi.advanceTimersByTimeAsync(0)
    late[0]?.()
    expect(await second).toBe('done')
    expect(close).not.toHaveBeenCalled()
    late[1]?.()
    await vi.waitFor(() => expect(close).toHaveBeenCalledTimes(1))
    expect(await codeOf(store.read('k'))).toBe('done')
    await store.close()
  })
})

describe('an engine like Safari', () => {
  test('that aborts a transaction by itself, as when a page is hidden, has it repeated', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat])
    const { get } = IDBObjectStore.prototype
    vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementationOnce(function (this: IDBObjectStore, ...args) {
      queueMicrotask(() => this.transaction.abort())
      return get.apply(this, args)
    })
    expect(await store.apply([beat])).toMatchObject([{ type: 'beaten' }])
    await store.close()
  })

  test('that has lost its server gets another connection, even if the old one still seems open', async () => {
    const used = watchUse()
    const store = indexedDBStore(name)
    await store.apply([beat])
    const broken = used()
    const { get } = IDBObjectStore.prototype
    vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(function (this: IDBObjectStore, ...args) {
      if (this.transaction.db === broken)
        throw new DOMException('Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError')
      return get.apply(this, args)
    })
    expect(await codeOf(store.read('k'))).toBe('store')
    expect(await codeOf(store.read('k'))).toBe('done')
    await store.close()
  })
})

describe('a connection that no longer answers', () => {
  /** Lets fake-indexeddb answer. It uses timers that are not faked. */
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  const pass = async (seconds: number): Promise<void> => {
    for (let passed = 0; passed < seconds; passed += 5) {
      await vi.advanceTimersByTimeAsync(5_000)
      await turns()
    }
  }
  /** Fakes timers from now on, including the real timer of this database. */
  const fakeTimers = (db: IDBDatabase): void => {
    restTurns(db)
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] })
  }

  test('counts as broken if another connection answers: calls are rejected, and the store opens a new one', async () => {
    const used = watchUse()
    const store = indexedDBStore(name)
    await store.apply([beat])
    fakeTimers(used())
    hang(used())
    const calls = [store.apply([beat]), store.read('k'), store.list()].map(codeOf)
    await pass(15)
    expect(await Promise.all(calls)).toEqual(['store', 'store', 'store'])
    vi.useRealTimers()
    expect(await store.apply([beat])).toMatchObject([{ type: 'beaten' }])
    await store.close()
  })

  test('rejects a fenced transaction that it does not begin', async () => {
    const store = indexedDBStore(name)
    const used = watchUse()
    const locks = createLocks({ store, duration: 60_000 })
    const lock = await locks.acquire('l')
    const db = used()
    fakeTimers(db)
    hang(db)
    const written = codeOf(store.transaction(lock, [], () => {}))
    await pass(15)
    expect(await written).toBe('store')
    vi.useRealTimers()
    await (await locks.acquire('l')).release()
    await locks.close()
    await store.close()
  })

  test('fails calls that wait for longer than two minutes, if no other connection answers either', async () => {
    const used = watchUse()
    const store = indexedDBStore(name)
    await store.apply([beat])
    fakeTimers(used())
    hang(used())
    const open = vi.spyOn(indexedDB, 'open').mockImplementation(() => new EventTarget() as never)
    let code: unknown
    codeOf(store.read('k')).then((told) => {
      code = told
    })
    await pass(120)
    expect(code).toBeUndefined()
    await pass(15)
    expect(code).toBe('store')
    const later = codeOf(store.read('k'))
    open.mockRestore()
    await pass(15)
    expect(await later).toBe('store')
    vi.useRealTimers()
    expect(await codeOf(store.read('k'))).toBe('done')
    await store.close()
  })

  test('is distinguished from a connection that waits for a long transaction of another page or of the app itself', async () => {
    const db = await openUsers()
    const other = await openUsers()
    const store = indexedDBStore(db)
    const locks = createLocks({ store, duration: 600_000 })
    const lock = await locks.acquire('l')
    fakeTimers(unwrap(db))
    let over = false
    const long = async (tx: { objectStore(name: string): { get(key: string): Promise<unknown> } }): Promise<void> => {
      while (!over) await tx.objectStore('notes').get('x')
    }
    const theirs = other.transaction([...other.objectStoreNames], 'readwrite')
    const busy = long(theirs)
    const read = codeOf(store.read('k'))
    await pass(60)
    over = true
    await busy
    vi.useRealTimers()
    expect(await read).toBe('done')
    over = false
    fakeTimers(unwrap(db))
    const own = codeOf(store.transaction(lock, ['notes'], long))
    await pass(180)
    over = true
    vi.useRealTimers()
    expect(await own).toBe('done')
    expect(lock.isHeld()).toBe(true)
    await locks.close()
    db.close()
    other.close()
  })
})

describe('a database without the object stores for locks', () => {
  const errorOf = (promise: Promise<unknown>): Promise<LockError> =>
    promise.then(
      () => expect.fail('it was fulfilled'),
      (error) => error,
    )

  test('gets an error that names the remedy if it is the app’s own', async () => {
    const db = await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('notes') })
    const store = indexedDBStore(db)
    expect(await errorOf(store.read('k'))).toMatchObject({
      code: 'store',
      message: expect.stringMatching(/call upgradeIndexedDB\(db\) in the upgrade callback/),
    })
    await store.close()
    db.close()
  })

  test('gets an error that names the remedy if an upgrade of the app has removed them, for holders and waiters', async () => {
    let db = await openUsers()
    const store = indexedDBStore(() => db)
    const locks = createLocks({ store })
    const lock = await locks.acquire('k')
    const lost = aborted(lock)
    const wait = errorOf(locks.acquire('k'))
    db.close()
    db = await openDB(name, 2, {
      upgrade(db) {
        for (const store of [...db.objectStoreNames]) if (store !== 'notes') db.deleteObjectStore(store)
      },
    })
    expect(await lost).toMatchObject({ code: 'lost' })
    expect(await wait).toMatchObject({ code: 'store', message: expect.stringMatching(/upgradeIndexedDB/) })
    await locks.close()
    await store.close()
    db.close()
  })

  test('gets an error that names the remedy if it has the name of a store’s database', async () => {
    const db = await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('notes') })
    const store = indexedDBStore(name)
    expect(await errorOf(store.read('k'))).toMatchObject({ code: 'store', message: expect.stringMatching(/give indexedDBStore another name/) })
    await store.close()
    db.close()
  })

  test('gets an error that names the remedy also if it has a higher version', async () => {
    const db = await openUsers(7)
    const store = indexedDBStore(name)
    expect(await errorOf(store.read('k'))).toMatchObject({ code: 'store', message: expect.stringMatching(/give indexedDBStore another name/) })
    await store.close()
    db.close()
  })
})
