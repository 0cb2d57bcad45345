import 'fake-indexeddb/auto'
import { type IDBPDatabase, openDB, unwrap } from 'idb'
import { afterEach, expect, test, vi } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { fenceStore, indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'
import { lease } from '../protocol/shelf.ts'
import { answerAsOneMap } from './turns.ts'

let count = 0

afterEach(() => {
  vi.restoreAllMocks()
})

const beat = (session: string): Command => ({ type: 'beat', session, client: 'c', lease, opens: true })

/** Records what stores do to their rows from now on: 'read' for each answered read, 'write' for each write, 'undo' for each aborted transaction. */
function watch(): string[] {
  const steps: string[] = []
  const { get, put } = IDBObjectStore.prototype
  vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(function (this: IDBObjectStore, key) {
    const request = get.call(this, key)
    request.addEventListener('success', () => steps.push('read'))
    return request
  })
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, row, key) {
    steps.push('write')
    return put.call(this, row, key)
  })
  const { abort } = IDBTransaction.prototype
  vi.spyOn(IDBTransaction.prototype, 'abort').mockImplementation(function (this: IDBTransaction) {
    steps.push('undo')
    return abort.call(this)
  })
  return steps
}

/** Acquires the lock and releases it. @returns its token */
async function turn(store: Pick<Store, 'apply'>, session: string, number: number): Promise<number> {
  const [outcome] = await store.apply([{ type: 'request', key: 'k', session, client: 'c', number, mode: 'exclusive', confirm: 500 }])
  const token = outcome?.type === 'granted' ? outcome.holder.token : expect.fail('not granted')
  expect(await store.apply([{ type: 'release', key: 'k', session, token }])).toMatchObject([{ type: 'done' }])
  return token
}

test('rows that no other store writes are written without waiting for a read', async () => {
  const store = indexedDBStore(`guesses ${count++}`)
  await store.apply([beat('a')])
  for (let number = 1; number <= 4; number++) await turn(store, 'a', number)
  const steps = watch()
  await turn(store, 'a', 5)
  expect(steps).not.toContain('undo')
  expect(steps.slice(0, 2)).toEqual(['write', 'write'])
  await store.close()
})

/** Two stores on one database. The first one relies on its cache, which is wrong, since the second one has written meanwhile. */
async function misled(database: string | IDBDatabase): Promise<{ store: Store; other: Store; between: number }> {
  const store = indexedDBStore(database)
  const other = indexedDBStore(typeof database === 'string' ? database : database.name)
  await store.apply([beat('a')])
  await other.apply([beat('b')])
  for (let number = 1; number <= 4; number++) await turn(store, 'a', number)
  return { store, other, between: await turn(other, 'b', 1) }
}

test('a write from a wrong guess is undone in the same transaction', async () => {
  const { store, other, between } = await misled(`guesses ${count++}`)
  const steps = watch()
  expect(await turn(store, 'a', 5)).toBeGreaterThan(between)
  expect(steps.slice(0, 2)).toEqual(['write', 'write'])
  expect(steps).not.toContain('undo')
  for (const each of [store, other]) await each.close()
})

test('the first request is served first, whatever each store has cached', async () => {
  const name = `guesses ${count++}`
  const stores = [...'abc'].map((session) => ({ session, store: indexedDBStore(name) }))
  for (const { session, store } of stores) {
    await store.apply([beat(session)])
    for (let number = 1; number <= 4; number++) await turn(store, session, number)
  }
  await Promise.all(
    stores.map(({ session, store }) =>
      store.apply([{ type: 'request', key: 'k', session, client: 'c', number: 5, mode: 'exclusive', confirm: 500 }]),
    ),
  )
  expect(await stores[0]?.store.read('k')).toMatchObject({ holders: [{ session: 'a' }], queue: [{ session: 'b' }, { session: 'c' }] })
  for (const { store } of stores) await store.close()
})

test('the fence names the right holder again after a wrong guess has put another there', async () => {
  const db = await openDB(`guesses ${count++}`, 1, { upgrade: (db) => upgradeIndexedDB(db) })
  const { store, other } = await misled(unwrap(db))
  const ask = (session: string, number: number): Command => ({
    type: 'request',
    key: 'k',
    session,
    client: 'c',
    number,
    mode: 'exclusive',
    confirm: 500,
  })
  const [granted] = await other.apply([ask('b', 2)])
  const token = granted?.type === 'granted' ? granted.holder.token : expect.fail('not granted')
  expect(await store.apply([ask('a', 5)])).toMatchObject([{ type: 'queued' }])
  expect(await db.get(fenceStore, 'k')).toEqual([['b', token, token]])
  for (const each of [store, other]) await each.close()
  db.close()
})

test('the fence names the record’s holders and no evicted ones, whatever was guessed', { timeout: 60_000 }, async () => {
  const evicted = new Set<string>()
  let db: IDBPDatabase
  await answerAsOneMap(
    async (now) => {
      evicted.clear()
      const name = `guesses ${count++}`
      db = await openDB(name, 1, { upgrade: (db) => upgradeIndexedDB(db) })
      return { stores: [indexedDBStore(db, { now }), indexedDBStore(name, { now })], remove: () => db.close() }
    },
    async (outcome) => {
      if (!('record' in outcome)) return
      const { record } = outcome
      for (const { token } of outcome.evicted) evicted.add(`${record.key} ${token}`)
      const fence: readonly [string, number, number][] = (await db.get(fenceStore, record.key)) ?? []
      const named = fence.map(([, token]) => token)
      expect(named).toEqual(expect.arrayContaining(record.holders.map(({ token }) => token)))
      expect(named.filter((token) => evicted.has(`${record.key} ${token}`))).toEqual([])
    },
  )
})

test('the owner of the database gets no events, not even under contention or when a transaction fails', async () => {
  const db = await openDB(`guesses ${count++}`, 1, { upgrade: (db) => upgradeIndexedDB(db) })
  const heard: string[] = []
  for (const type of ['error', 'abort']) db.addEventListener(type, () => heard.push(type))
  const { store, other } = await misled(unwrap(db))
  await turn(store, 'a', 5)
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore) {
    this.transaction.abort()
    throw new DOMException('no disk', 'UnknownError')
  })
  await expect(turn(store, 'a', 6)).rejects.toMatchObject({ code: 'store' })
  expect(heard).toEqual([])
  for (const each of [store, other]) await each.close()
  db.close()
})

test.each([0, 4])('rows that two stores write alternately are not guessed, with %d looks after each turn', async (looks) => {
  const name = `guesses ${count++}`
  const stores = [indexedDBStore(name), indexedDBStore(name)] as const
  await stores[0].apply([beat('a'), beat('b')])
  const both = async (number: number): Promise<void> => {
    for (const [index, store] of stores.entries()) {
      await turn(store, 'ab'[index] as string, number)
      for (let look = 0; look < looks; look++) await store.read('k')
    }
  }
  for (let number = 1; number <= 2; number++) await both(number)
  const steps = watch()
  for (let number = 3; number <= 5; number++) await both(number)
  expect(steps).not.toContain('undo')
  for (const store of stores) await store.close()
})

test('two stores give the same answers as one map, in whatever order they are asked', { timeout: 60_000 }, () =>
  answerAsOneMap(async (now) => {
    const name = `guesses ${count++}`
    return { stores: [indexedDBStore(name, { now }), indexedDBStore(name, { now })] }
  }),
)
