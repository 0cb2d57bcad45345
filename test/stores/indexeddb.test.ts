import 'fake-indexeddb/auto'
import { forceCloseDatabase } from 'fake-indexeddb'
import { deleteDB, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLocks } from '../../src/index.ts'
import type { Command, LockError } from '../../src/protocol/index.ts'
import { indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'

let count = 0
let name: string

beforeEach(() => {
  name = `test ${count++}`
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

/** Closes a database as a browser does when the user clears the site's data. */
const forceClose = (db: IDBDatabase): void => forceCloseDatabase(db as never)

const openUsers = (version = 1): Promise<IDBPDatabase> =>
  openDB(name, version, {
    upgrade(db) {
      if (!db.objectStoreNames.contains('notes')) db.createObjectStore('notes')
      upgradeIndexedDB(db)
    },
  })

/** Uses the database through a separate connection. */
async function within<T>(use: (db: IDBPDatabase) => Promise<T>): Promise<T> {
  const db = await openDB(name)
  try {
    return await use(db)
  } finally {
    db.close()
  }
}

const write = (objectStore: string, key: string, row: unknown) => within((db) => db.put(`storelock-${objectStore}`, row, key))
const rowOf = (objectStore: string, key: string): Promise<unknown> => within((db) => db.get(`storelock-${objectStore}`, key))

const beat = (session: string, lease = 1_000): Command => ({ type: 'beat', session, client: 'c', lease, opens: true })
const request = (session: string, number = 1, key = 'k'): Command => ({
  ...{ type: 'request', key, session, client: 'c', number, mode: 'exclusive', confirm: 500 },
})

/** The `LockError` that a promise rejects with. */
const failure = (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => expect.fail('should have failed'),
    (error: unknown) => error as LockError,
  )

const rubbish = { corrupt: (key: string) => write('records', key, 'rubbish').then(() => {}), raw: (key: string) => rowOf('records', key) }

const fence = {
  write: (tx: IDBPTransaction<unknown, string[], 'readwrite'>, text: string) => tx.objectStore('notes').put(text, 'note'),
  written: () => within((db) => db.get('notes', 'note')),
}

describe('an IndexedDB store with its own database', () => {
  const place = (): StorePlace => ({ open: () => indexedDBStore(name), ...rubbish })
  for (const { name: fact, run } of storeSuite(place)) test(fact, run)
})

describe('an IndexedDB store in a user’s database', () => {
  const place = async (): Promise<StorePlace> => {
    const db = await openUsers()
    return { open: () => indexedDBStore(db), ...rubbish, fence, remove: () => db.close() }
  }
  for (const { name: fact, run } of storeSuite(place)) test(fact, run)
})

describe('the store’s own database', () => {
  test('is not opened before the first command', async () => {
    const store = indexedDBStore(name)
    expect((await indexedDB.databases()).map((info) => info.name)).not.toContain(name)
    await store.apply([beat('a')])
    expect((await indexedDB.databases()).map((info) => info.name)).toContain(name)
    await store.close()
  })

  test('can be deleted while it is in use, and is made again', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat('a'), request('a')])
    await deleteDB(name, { blocked: () => expect.fail('the store blocks the deletion') })
    expect(await store.list()).toEqual([])
    expect((await store.apply([beat('a'), request('a')])).map(({ type }) => type)).toEqual(['beaten', 'granted'])
    await store.close()
  })

  test('is opened again when the browser has closed it, with or without an event', async () => {
    const transaction = vi.spyOn(IDBDatabase.prototype, 'transaction')
    const used = () => transaction.mock.contexts.at(-1) as IDBDatabase
    const store = indexedDBStore(name)
    await store.apply([beat('a'), request('a')])
    for (const close of [(db: IDBDatabase) => db.close(), forceClose]) {
      const db = used()
      close(db)
      expect(await store.read('k')).toMatchObject({ holders: [{ session: 'a' }] })
      expect(used()).not.toBe(db)
    }
    await store.close()
  })

  test('is opened again only once, however many commands wait for it', async () => {
    const open = vi.spyOn(indexedDB, 'open')
    const store = indexedDBStore(name)
    const commands = () => Promise.all([store.read('k'), store.list(), store.apply([beat('a')])])
    await commands()
    await deleteDB(name)
    await commands()
    expect(open).toHaveBeenCalledTimes(2)
    await store.close()
  })

  test('is closed for an upgrade by a newer version and left alone, and the error says to update storelock', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat('a'), request('a')])
    const newer = await openDB(name, 2, { blocked: () => expect.fail('the store blocks the upgrade') })
    const error = await failure(store.read('k'))
    expect(error).toMatchObject({ code: 'store', cause: { name: 'VersionError' } })
    expect(error.message).toContain('update storelock')
    newer.close()
    expect(await rowOf('records', 'k')).toBeTypeOf('string')
    await store.close()
  })

  test('is closed if it turns out to be another app’s', async () => {
    await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('notes') }).then((db) => db.close())
    const closed = vi.spyOn(IDBDatabase.prototype, 'close')
    const error = await failure(indexedDBStore(name).read('k'))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('give indexedDBStore another name') })
    expect(closed).toHaveBeenCalledTimes(1)
  })

  test('is closed by close(), also while it is being opened', async () => {
    const store = indexedDBStore(name)
    const pending = store.read('k')
    await store.close()
    await pending.catch(() => {})
    await openDB(name, 2, { blocked: () => expect.fail('the store still holds it') }).then((db) => db.close())
    expect(await failure(store.read('k'))).toMatchObject({ code: 'closed' })
  })

  test('fails the command if it cannot be opened, and the next command tries again', async () => {
    const open = vi.spyOn(indexedDB, 'open').mockImplementationOnce(() => {
      throw new DOMException('no storage here', 'SecurityError')
    })
    const store = indexedDBStore(name)
    expect(await failure(store.read('k'))).toMatchObject({ code: 'store', cause: { name: 'SecurityError' } })
    expect(await store.read('k')).toBeUndefined()
    expect(open).toHaveBeenCalledTimes(2)
    await store.close()
  })
})

describe('a user’s own database', () => {
  test('may have other object stores, and be prepared at any version', async () => {
    const first = await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('notes') })
    await first.put('notes', 'mine', 1)
    first.close()
    for (const version of [2, 3]) {
      const db = await openUsers(version)
      const store = indexedDBStore(db)
      await store.apply([beat('a'), request('a', version)])
      expect(await db.get('notes', 1)).toBe('mine')
      await store.close()
      db.close()
    }
    expect(await within(async (db) => [...db.objectStoreNames])).toEqual([
      'notes',
      'storelock-fence',
      'storelock-meta',
      'storelock-records',
      'storelock-sessions',
    ])
  })

  test('may come with or without idb’s wrapper', async () => {
    const db = await new Promise<IDBDatabase>((resolve) => {
      const opening = indexedDB.open(name, 1)
      opening.onupgradeneeded = () => upgradeIndexedDB(opening.result)
      opening.onsuccess = () => resolve(opening.result)
    })
    await indexedDBStore(db).apply([beat('a'), request('a')])
    expect(await indexedDBStore(db).read('k')).toMatchObject({ holders: [{ session: 'a' }] })
    db.close()
  })

  test('gets an error that names the helper if the object stores are missing', async () => {
    const db = await openDB(name, 1, { upgrade: (db) => void db.createObjectStore('notes') })
    const error = await failure(indexedDBStore(db).read('k'))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('upgradeIndexedDB(db)') })
    expect(error.message).toContain(name)
    db.close()
  })

  test('stays open when the store is closed', async () => {
    const db = await openUsers()
    const store = indexedDBStore(db)
    await store.apply([beat('a')])
    await store.close()
    await db.put('notes', 'still here', 1)
    db.close()
  })

  test('fails the store after the user has closed it, with a remedy', async () => {
    const db = await openUsers()
    const store = indexedDBStore(db)
    await store.apply([beat('a')])
    db.close()
    expect(await failure(store.apply([beat('a')]))).toMatchObject({
      code: 'closed',
      message: expect.stringContaining('indexedDBStore(() => db)'),
      cause: { name: 'InvalidStateError' },
    })
  })

  test('is never blocked by the store: an upgrade waits only for the user’s own connection', async () => {
    const db = await openUsers(1)
    db.addEventListener('versionchange', () => db.close())
    await indexedDBStore(db).apply([beat('a'), request('a')])
    const next = await openDB(name, 2, { blocked: () => expect.fail('the store blocks the upgrade') })
    expect(await indexedDBStore(next).read('k')).toMatchObject({ holders: [{ session: 'a' }] })
    next.close()
  })
})

describe('the contents of the database', () => {
  test('are reported and left alone if they have a newer version', async () => {
    const db = await openUsers()
    await write('meta', 'version', 99)
    const store = indexedDBStore(db)
    const error = await failure(store.apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('99') })
    expect(error.message).toContain(name)
    expect(await rowOf('sessions', 'a')).toBeUndefined()
    db.close()
  })

  test('J12: a corrupt session row fails the holds that lean on it and is not changed', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat('a'), request('a')])
    await write('sessions', 'a', { expiresAt: 1, text: 'rubbish' })
    expect(await store.apply([beat('a'), beat('b')])).toMatchObject([{ type: 'failed', code: 'corrupt' }, { type: 'beaten' }])
    expect(await failure(store.read('k'))).toMatchObject({ code: 'corrupt' })
    expect(await rowOf('sessions', 'a')).toEqual({ expiresAt: 1, text: 'rubbish' })
    await store.close()
  })

  test('J12: a record that is not a text is corrupt, not missing', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat('a')])
    for (const row of [null, 0, '', {}]) {
      await write('records', 'k', row)
      expect(await store.apply([request('a')])).toMatchObject([{ type: 'failed', code: 'corrupt' }])
      expect(await rowOf('records', 'k')).toEqual(row)
    }
    await store.close()
  })

  test('give a beat only the sessions that look abandoned', async () => {
    let time = 1_000_000
    const store = indexedDBStore(name, { now: () => time })
    await store.apply([beat('short', 1_000), beat('long', 10_000)])
    expect(await store.apply([beat('c')])).toMatchObject([{ stale: [] }])
    time += 5_000
    expect(await store.apply([beat('c')])).toMatchObject([{ stale: [{ id: 'c' }, { id: 'short' }] }])
    await store.close()
  })

  test('keep the highest token that was ever dropped, in whatever order records are swept', async () => {
    const store = indexedDBStore(name, { now: () => 0 })
    const take = async (key: string): Promise<number> => {
      const [outcome] = await store.apply([request('a', 1, key), { type: 'revoke', key }])
      return outcome?.type === 'granted' ? outcome.holder.token : expect.fail('not granted')
    }
    await store.apply([beat('a')])
    expect([await take('low'), await take('high'), await take('high'), await take('high')]).toEqual([1, 1, 2, 3])
    await store.apply([{ type: 'sweep', key: 'high' }])
    await store.apply([{ type: 'sweep', key: 'low' }])
    expect(await take('low')).toBe(4)
    await store.close()
  })

  test('have nothing of a batch that failed', async () => {
    const store = indexedDBStore(name)
    await store.apply([beat('a')])
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('no room', 'QuotaExceededError')
    })
    const error = await failure(store.apply([request('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('quota'), cause: { name: 'QuotaExceededError' } })
    vi.restoreAllMocks()
    expect(await store.read('k')).toBeUndefined()
    await store.close()
  })

  test('lose a session that ends before anything is read, since its page may be gone by then', async () => {
    const store = indexedDBStore(name)
    const [, granted] = await store.apply([beat('a'), request('a')])
    const token = granted?.type === 'granted' ? granted.holder.token : expect.fail('not granted')
    const steps: string[] = []
    for (const step of ['get', 'delete'] as const) {
      const original = IDBObjectStore.prototype[step] as (key: string) => IDBRequest
      vi.spyOn(IDBObjectStore.prototype, step).mockImplementation(function (this: IDBObjectStore, key) {
        steps.push(step)
        return original.call(this, key as string) as never
      })
    }
    const goodbye: Command[] = [
      { type: 'release', key: 'k', session: 'a', token },
      { type: 'end', session: 'a' },
    ]
    expect(await store.apply(goodbye)).toMatchObject([{ type: 'done' }, { type: 'ended' }])
    expect(steps[0]).toBe('delete')
    expect(await store.read('k')).toMatchObject({ holders: [], sessions: new Map() })
    await store.close()
  })

  test('have no second transaction open beside that end, since in a closing page it would block all other contexts', async () => {
    const store = indexedDBStore(name)
    const [, granted] = await store.apply([beat('a'), request('a')])
    const token = granted?.type === 'granted' ? granted.holder.token : expect.fail('not granted')
    let goodbye: IDBTransaction | undefined
    let done = false
    const begun: boolean[] = []
    const { transaction } = IDBDatabase.prototype
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
      const tx = transaction.apply(this, args)
      begun.push(done)
      if (!goodbye) tx.addEventListener('complete', () => (done = true))
      goodbye ??= tx
      return tx
    })
    await store.apply([
      { type: 'release', key: 'k', session: 'a', token },
      { type: 'end', session: 'a' },
    ])
    expect(begun).toEqual([false, true])
    await store.apply([beat('a')])
    begun.length = 0
    expect(await store.apply([{ type: 'end', session: 'a' }])).toEqual([{ type: 'ended' }])
    expect(begun).toHaveLength(1)
    await store.close()
  })

  test('are written with the requested durability', async () => {
    const transaction = vi.spyOn(IDBDatabase.prototype, 'transaction')
    const [relaxed, strict] = [indexedDBStore(name), indexedDBStore(name, { durability: 'strict' })]
    await relaxed.apply([beat('a')])
    expect(transaction.mock.lastCall?.[2]).toEqual({ durability: 'relaxed' })
    await strict.apply([beat('a')])
    expect(transaction.mock.lastCall?.[2]).toEqual({ durability: 'strict' })
    await relaxed.close()
    await strict.close()
  })
})

test('without IndexedDB there is an error that says so', async () => {
  vi.stubGlobal('indexedDB', undefined)
  const error = await failure(indexedDBStore(name).read('k'))
  expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('no IndexedDB') })
})

test.each([
  ['a browser’s own denial', new DOMException('denied in this context', 'SecurityError'), 'SecurityError', 'allow-same-origin'],
  ['a user’s denial', new DOMException('The user denied permission to access the database.', 'UnknownError'), 'SecurityError', 'allow-same-origin'],
  ['another failure', new DOMException('Internal error opening backing store', 'UnknownError'), 'UnknownError', 'backing store'],
])('%s to open the database is explained, with a remedy if there is one', async (_, error, cause, message) => {
  vi.spyOn(indexedDB, 'open').mockImplementationOnce(() => {
    throw error
  })
  expect(await failure(indexedDBStore(name).read('k'))).toMatchObject({
    code: 'store',
    message: expect.stringContaining(message),
    cause: { name: cause },
  })
})

describe('the channel and the beacon of the database', () => {
  const locks = { request: () => new Promise(() => {}) }
  const lacks = (): string[] => {
    const told: string[] = []
    indexedDBStore(name).onDegraded?.((why) => told.push(why ?? 'all is back'))
    return told
  }
  const heard = (store: ReturnType<typeof indexedDBStore>): Promise<unknown> => new Promise((resolve) => store.channel?.subscribe('t', resolve))

  test('cause one warning for each that is missing, with the reason', () => {
    vi.stubGlobal('navigator', { locks })
    expect(lacks()).toEqual([])
    vi.stubGlobal('isSecureContext', false)
    vi.stubGlobal('navigator', {})
    expect(lacks()).toEqual([expect.stringMatching(/^no proofs of death.*navigator\.locks needs a secure context \(https\)$/)])
    vi.stubGlobal('isSecureContext', true)
    expect(lacks()).toEqual([expect.stringMatching(/^no proofs of death.*no navigator\.locks/)])
    vi.stubGlobal('BroadcastChannel', undefined)
    vi.stubGlobal('navigator', undefined)
    expect(lacks()).toEqual([
      expect.stringMatching(/^no hints.*no BroadcastChannel/),
      expect.stringMatching(/^no proofs of death.*no navigator\.locks/),
    ])
    const { channel, beacon } = indexedDBStore(name)
    expect([channel, beacon]).toEqual([undefined, undefined])
  })

  test('cause one warning if the browser refuses a lock for a beacon, and locks work', async () => {
    const refuse = () => Promise.reject(new DOMException('not in this document', 'SecurityError'))
    vi.stubGlobal('navigator', { locks: { request: refuse, query: refuse } })
    const told: string[] = []
    const store = indexedDBStore(name)
    const all = [0, 1].map(() => createLocks({ store, onWarning: ({ error }) => told.push(error.message) }))
    for (const locks of all) await locks.request('k', (lock) => lock.assertHeld())
    expect(told).toHaveLength(2)
    expect(new Set(told)).toEqual(new Set(['no proofs of death, since navigator.locks refuses: not in this document']))
    for (const locks of all) await locks.close()
    await store.close()
  })

  test('are shared by all stores on a database of that name, and no others', async () => {
    const [one, two, user, other] = [
      indexedDBStore(name),
      indexedDBStore(name),
      indexedDBStore(await openUsers()),
      indexedDBStore(`${name}, another`),
    ]
    const reached = [one, two, user].map(heard)
    other.channel?.publish('t', { from: 'other' })
    user.channel?.publish('t', { from: 'user' })
    expect(await Promise.all(reached)).toEqual([{ from: 'user' }, { from: 'user' }, { from: 'user' }])
    for (const store of [one, two, user, other]) await store.close()
  })

  test('are closed with the store', async () => {
    const [one, two] = [indexedDBStore(name), indexedDBStore(name)]
    let late = 0
    one.channel?.subscribe('t', () => late++)
    await one.close()
    const reached = heard(two)
    one.channel?.publish('t', { from: 'one' })
    two.channel?.publish('t', { from: 'two' })
    expect(await reached).toEqual({ from: 'two' })
    expect(late).toBe(0)
    await two.close()
  })
})
