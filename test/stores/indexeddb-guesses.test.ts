import 'fake-indexeddb/auto'
import { openDB } from 'idb'
import { afterEach, expect, test, vi } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { indexedDBStore, upgradeIndexedDB } from '../../src/stores/indexeddb.ts'
import { lease } from '../protocol/shelf.ts'
import { answerAsOneMap } from './turns.ts'

let count = 0

afterEach(() => {
  vi.restoreAllMocks()
})

const beat = (session: string): Command => ({ type: 'beat', session, client: 'c', lease, opens: true })

/** What stores do to their rows from now on: reads that have been answered, writes, and transactions that were undone. */
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

/** Takes the lock and lets it go. @returns its token */
async function turn(store: Pick<Store, 'apply'>, session: string, number: number): Promise<number> {
  const [outcome] = await store.apply([{ type: 'request', key: 'k', session, client: 'c', number, mode: 'exclusive', confirm: 500 }])
  const token = outcome?.type === 'granted' ? outcome.holder.token : expect.fail('not granted')
  expect(await store.apply([{ type: 'release', key: 'k', session, token }])).toMatchObject([{ type: 'done' }])
  return token
}

test('rows that nobody else writes are written without waiting for what stands there', async () => {
  const store = indexedDBStore(`guesses ${count++}`)
  await store.apply([beat('a')])
  for (let number = 1; number <= 4; number++) await turn(store, 'a', number)
  const steps = watch()
  await turn(store, 'a', 5)
  expect(steps).not.toContain('undo')
  expect(steps.slice(0, 2)).toEqual(['write', 'write'])
  await store.close()
})

test('what was written on a wrong guess is undone, and done again with what stands there', async () => {
  const name = `guesses ${count++}`
  const [store, other] = [indexedDBStore(name), indexedDBStore(name)]
  await store.apply([beat('a')])
  await other.apply([beat('b')])
  for (let number = 1; number <= 4; number++) await turn(store, 'a', number)
  const between = await turn(other, 'b', 1)
  const steps = watch()
  expect(await turn(store, 'a', 5)).toBeGreaterThan(between)
  expect(steps.filter((step) => step === 'undo')).toHaveLength(1)
  await store.close()
  await other.close()
})

test('who owns the database hears nothing of what was undone', async () => {
  const db = await openDB(`guesses ${count++}`, 1, { upgrade: (db) => upgradeIndexedDB(db) })
  const [store, other] = [indexedDBStore(db), indexedDBStore(db.name)]
  const errors: unknown[] = []
  db.addEventListener('error', ({ target }) => errors.push((target as IDBRequest).error))
  await store.apply([beat('a'), beat('b')])
  for (let number = 1; number <= 4; number++) await turn(store, 'a', number)
  await turn(other, 'b', 1)
  const steps = watch()
  await turn(store, 'a', 5)
  expect([steps.includes('undo'), errors]).toEqual([true, []])
  for (const each of [store, other]) await each.close()
  db.close()
})

test.each([0, 4])('what two stores write in turns is not guessed, with %d looks after each turn', async (looks) => {
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

test('two stores answer as one map does, in whatever turns they are asked', { timeout: 60_000 }, () =>
  answerAsOneMap(async (now) => {
    const name = `guesses ${count++}`
    return { stores: [indexedDBStore(name, { now }), indexedDBStore(name, { now })] }
  }),
)
