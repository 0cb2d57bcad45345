import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { lease } from '../protocol/shelf.ts'
import { filePlace, handlePlace, memoryPlace } from './sqlite-places.ts'
import { answerAsOneMap } from './turns.ts'

describe('a SQLite store on a path', () => {
  for (const { name, run } of storeSuite(() => filePlace(Database, (path) => sqliteStore(path)))) test(name, run)
})

describe('a SQLite store on a handle of better-sqlite3', () => {
  for (const { name, run } of storeSuite(() => handlePlace(Database, (db) => sqliteStore(db)))) test(name, run)
})

describe('a SQLite store on a handle whose user wants integers as bigints', () => {
  const open = (db: object) => sqliteStore((db as Database.Database).defaultSafeIntegers())
  for (const { name, run } of storeSuite(() => memoryPlace(Database, open))) test(name, run)
})

describe('a SQLite store in memory', () => {
  for (const { name, run } of storeSuite(() => ({ open: () => sqliteStore(':memory:'), alone: true }))) test(name, run)
})

test('two connections used alternately give the same answers as one map, whatever they have cached', { timeout: 60_000 }, () =>
  answerAsOneMap(async (now) => {
    const place = filePlace(Database, (path) => sqliteStore(path, { now }))
    return { stores: [await place.open(), await place.open()], remove: place.remove }
  }),
)

test.each([
  ['b', 'c'],
  ['c', 'b'],
])('a release does not rely on the cached row of %s, whose session another process has ended', async (ended, granted) => {
  const place = filePlace(Database, sqliteStore)
  const [store, other] = [await place.open(), await place.open()]
  try {
    for (const session of ['a', 'b', 'c', 'd']) {
      await store.apply([{ type: 'beat', session, client: session, lease, opens: true }])
      await store.apply([{ type: 'request', key: 'k', session, client: session, number: 1, mode: 'exclusive', confirm: 500 }])
    }
    const token = (await store.read('k'))?.token ?? 0
    await other.apply([{ type: 'end', session: ended }])
    await store.apply([{ type: 'release', key: 'k', session: 'a', token }])
    const view = await store.read('k')
    expect([view?.holders, view?.queue].map((those) => those?.map(({ session }) => session))).toEqual([[granted], ['d']])
  } finally {
    for (const each of [store, other]) await each.close()
    await place.remove?.()
  }
})
