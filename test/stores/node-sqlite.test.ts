import { describe, expect, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { filePlace, handlePlace, memoryPlace } from './sqlite-places.ts'

// Node 22 and newer.
const Database = process.getBuiltinModule?.('node:sqlite')?.DatabaseSync

describe.skipIf(!Database)('a SQLite store on a handle of node:sqlite', () => {
  if (!Database) return
  for (const { name, run } of storeSuite(() => handlePlace(Database, (db) => sqliteStore(db)))) test(name, run)
})

describe.skipIf(!Database)('a SQLite store on a handle of node:sqlite without a file', () => {
  if (!Database) return
  for (const { name, run } of storeSuite(() => memoryPlace(Database, (db) => sqliteStore(db)))) test(name, run)

  test('waits while its user is in a transaction', async () => {
    const db = new Database(':memory:')
    const store = sqliteStore(db)
    db.exec('CREATE TABLE theirs (x); BEGIN; INSERT INTO theirs VALUES (1)')
    const outcomes = store.apply([{ type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }])
    await new Promise((resolve) => setTimeout(resolve, 10))
    db.exec('ROLLBACK')
    expect(await outcomes).toMatchObject([{ type: 'beaten' }])
    db.close()
    await expect(store.read('k')).rejects.toMatchObject({ code: 'store' })
  })
})

describe.skipIf(!Database)('a SQLite store on a path that node:sqlite uses too', () => {
  if (!Database) return
  for (const { name, run } of storeSuite(() => filePlace(Database, (path) => sqliteStore(path)))) test(name, run)

  test('waits while the file is busy', async () => {
    const place = filePlace(Database, (path) => {
      const other = new Database(path)
      const store = sqliteStore(new Database(path))
      other.exec('BEGIN IMMEDIATE')
      setTimeout(() => other.close(), 20)
      return store
    })
    const store = await place.open()
    expect(await store.apply([{ type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }])).toMatchObject([{ type: 'beaten' }])
    await store.close()
    await place.remove?.()
  })
})
