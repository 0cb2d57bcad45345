import 'fake-indexeddb/auto'
import { createRequire } from 'node:module'
import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Fenced } from '../../src/protocol/index.ts'
import { type FenceSchema, fenceStore, type IndexedDBStore, indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'

interface App extends DBSchema, FenceSchema {
  notes: { key: string; value: string }
  drafts: { key: string; value: string }
}

let count = 0
let db: IDBPDatabase<App>
let store: IndexedDBStore<IDBPDatabase<App>>
let lock: Fenced

const notes = (): Promise<string[]> => db.getAll('notes')
const rob = () => store.apply([{ type: 'request', key: 'k', session: 'b', client: 'b', number: 1, mode: 'exclusive', confirm: 500, steal: true }])
const lost = expect.objectContaining({ code: 'lost' })

beforeEach(async () => {
  db = await openDB<App>(`fence ${count++}`, 1, {
    upgrade(db) {
      db.createObjectStore('notes')
      db.createObjectStore('drafts')
      upgradeIndexedDB(db)
    },
  })
  store = indexedDBStore(db)
  const outcomes = await store.apply([
    { type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true },
    { type: 'beat', session: 'b', client: 'b', lease: 1_000, opens: true },
    { type: 'request', key: 'k', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  const [, , granted] = outcomes
  if (granted?.type !== 'granted') throw new Error('not granted')
  // This lock never notices that it is lost.
  lock = { name: 'k', key: 'k', session: 'a', token: granted.holder.token, assertHeld() {} }
})

afterEach(() => db.close())

describe('J6: check() in a user’s transaction', () => {
  const begin = () => db.transaction(['notes', fenceStore], 'readwrite')

  test('lets a holder commit, and does not need to be awaited', async () => {
    const tx = begin()
    store.check(tx, lock)
    tx.objectStore('notes').put('held', '1')
    tx.commit()
    await tx.done
    expect(await notes()).toEqual(['held'])
  })

  test('accepts the browser’s own transactions as well', async () => {
    const connection = await new Promise<IDBDatabase>((resolve) => {
      const opening = indexedDB.open(db.name)
      opening.onsuccess = () => resolve(opening.result)
    })
    const own = indexedDBStore(connection)
    await own.transaction(lock, ['notes'], (tx) => tx.objectStore('notes').put('held', '1'))
    await rob()
    const tx = connection.transaction(['notes', fenceStore], 'readwrite')
    await expect(own.check(tx, lock)).rejects.toEqual(lost)
    connection.close()
    expect(await notes()).toEqual(['held'])
  })

  test('accepts transactions of any copy of idb', async () => {
    const copy: typeof import('idb') = createRequire(import.meta.url)('idb')
    const theirs = await copy.openDB<App>(db.name)
    const own = indexedDBStore(theirs)
    await own.transaction(lock, ['notes'], (tx) => tx.objectStore('notes').put('held', '1'))
    await rob()
    const tx = theirs.transaction(['notes', fenceStore], 'readwrite')
    tx.done.catch(() => {})
    await expect(own.check(tx, lock)).rejects.toEqual(lost)
    theirs.close()
    expect(await notes()).toEqual(['held'])
  })

  test.each(['before', 'after'])('undoes the writes %s the check if the lock was stolen', async (when) => {
    await rob()
    const tx = begin()
    const write = () =>
      tx
        .objectStore('notes')
        .put('not held', '1')
        .catch(() => {})
    if (when === 'before') write()
    const checked = store.check(tx, lock)
    if (when === 'after') write()
    await expect(checked).rejects.toEqual(lost)
    await expect(tx.done).rejects.toThrow()
    expect(await notes()).toEqual([])
  })

  test('is not outrun by a commit() that does not wait for it', async () => {
    await rob()
    const tx = begin()
    store.check(tx, lock)
    tx.objectStore('notes')
      .put('not held', '1')
      .catch(() => {})
    tx.commit()
    await expect(tx.done).rejects.toThrow()
    expect(await notes()).toEqual([])
  })

  test('prevents a take-over until the transaction is complete', async () => {
    const order: string[] = []
    const tx = begin()
    store.check(tx, lock)
    const robbed = rob().then(() => order.push('robbed'))
    for (let i = 0; i < 20; i++) await tx.objectStore('notes').put(`${i}`, `${i}`)
    const done = tx.done.then(() => order.push('written'))
    await Promise.all([robbed, done])
    expect(order).toEqual(['written', 'robbed'])
  })

  test('does not delay heartbeats, renewals or looks, however long the transaction takes', async () => {
    const tx = begin()
    store.check(tx, lock)
    let over = false
    tx.done.then(() => {
      over = true
    })
    const others = Promise.all([
      store.apply([
        { type: 'beat', session: 'a', client: 'a', lease: 1_000 },
        { type: 'renew', key: 'k', session: 'a', token: lock.token, lease: 5_000 },
      ]),
      store.read('k'),
      store.list(),
    ])
    let went = false
    others.then(() => {
      went = true
    })
    while (!went) await tx.objectStore('notes').put('long', '1')
    expect(over).toBe(false)
    await tx.done
    await others
  })

  test('refuses a transaction that it cannot guard', async () => {
    await expect(store.check(db.transaction(['notes', fenceStore], 'readonly'), lock)).rejects.toThrow(/readwrite/)
    await expect(store.check(db.transaction('notes', 'readwrite'), lock)).rejects.toThrow(/storelock-fence/)
  })

  test('aborts the transaction if the holder knows that the lock is lost', async () => {
    const tx = begin()
    tx.objectStore('notes')
      .put('not held', '1')
      .catch(() => {})
    const told = { ...lock, assertHeld: () => expect.fail('told') }
    await expect(store.check(tx, told)).rejects.toThrow('told')
    await expect(tx.done).rejects.toThrow()
    expect(await notes()).toEqual([])
  })
})

describe('J6: transaction()', () => {
  test('gives the body a transaction with the types of the database, on the named object stores', async () => {
    await db.put('drafts', 'a draft', '1')
    const moved = await store.transaction(lock, ['notes', 'drafts'], async (tx) => {
      const draft = (await tx.objectStore('drafts').get('1')) ?? ''
      await tx.objectStore('notes').put(draft, '1')
      await tx.objectStore('drafts').delete('1')
      // @ts-expect-error there is no such object store
      expect(() => tx.objectStore('nothing')).toThrow()
      return draft.length
    })
    expect([moved, await notes(), await db.getAll('drafts')]).toEqual([7, ['a draft'], []])
  })

  test('rejects with an error if an object store is missing', async () => {
    // @ts-expect-error there is no such object store
    await expect(store.transaction(lock, ['nothing'], () => {})).rejects.toMatchObject({ code: 'store' })
    await store.transaction(lock, ['notes'], (tx) => tx.objectStore('notes').put('held', '1'))
    expect(await notes()).toEqual(['held'])
  })

  test('undoes everything when the body throws, at once or later', async () => {
    const at = (stage: string) =>
      store.transaction(lock, ['notes'], (tx) => {
        tx.objectStore('notes')
          .put('half', '1')
          .catch(() => {})
        if (stage === 'once') throw new RangeError('at once')
        return tx
          .objectStore('notes')
          .get('1')
          .then(() => Promise.reject(new RangeError('later')))
      })
    await expect(at('once')).rejects.toThrow('at once')
    await expect(at('later')).rejects.toThrow('later')
    expect(await notes()).toEqual([])
  })

  test('rejects when the body itself aborts', async () => {
    await expect(store.transaction(lock, ['notes'], (tx) => tx.abort())).rejects.toMatchObject({ code: 'store', cause: { name: 'AbortError' } })
  })

  test('does not call the body if the holder knows that the lock is lost', async () => {
    const told = { ...lock, assertHeld: () => expect.fail('told') }
    await expect(store.transaction(told, ['notes'], () => expect.fail('called'))).rejects.toThrow('told')
  })

  test('serves many calls at once one after another', async () => {
    const add = async () =>
      store.transaction(lock, ['notes'], async (tx) => {
        const notes = tx.objectStore('notes')
        const before = Number((await notes.get('count')) ?? 0)
        await notes.put(`${before + 1}`, 'count')
      })
    await Promise.all(Array.from({ length: 30 }, add))
    expect(await notes()).toEqual(['30'])
  })
})

test('a renewal that grants the lock to another session updates the fence', async () => {
  await store.apply([
    { type: 'beat', session: 'c', client: 'c', lease: 1_000, opens: true },
    { type: 'request', key: 's', session: 'a', client: 'a', number: 2, mode: 'shared', confirm: 500, lease: 2_000 },
    { type: 'request', key: 's', session: 'b', client: 'b', number: 2, mode: 'shared', confirm: 500 },
    { type: 'request', key: 's', session: 'c', client: 'c', number: 2, mode: 'exclusive', confirm: 500 },
    { type: 'request', key: 's', session: 'b', client: 'b', number: 3, mode: 'shared', confirm: 500 },
    { type: 'end', session: 'c' },
  ])
  const before = await store.read('s')
  const [renewed] = await store.apply([{ type: 'renew', key: 's', session: 'a', token: before?.holders[0]?.token ?? 0, lease: 2_000 }])
  const [granted] = renewed?.type === 'renewed' ? renewed.grants : []
  expect(granted).toMatchObject({ session: 'b', number: 3 })
  await store.transaction({ ...lock, key: 's', session: 'b', token: granted?.token ?? 0 }, ['notes'], (tx) =>
    tx.objectStore('notes').put('held', '1'),
  )
  expect(await notes()).toEqual(['held'])
})
