import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { filePlace, handlePlace, memoryPlace } from '../stores/sqlite-places.ts'

describe('a SQLite store on a handle of node:sqlite', () => {
  for (const { name, run } of storeSuite(() => handlePlace(DatabaseSync, (db) => sqliteStore(db)))) test(name, run)
})

describe('a SQLite store on a handle of node:sqlite without a file', () => {
  for (const { name, run } of storeSuite(() => memoryPlace(DatabaseSync, (db) => sqliteStore(db)))) test(name, run)

  test('waits while the user has a transaction open', async () => {
    const db = new DatabaseSync(':memory:')
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

describe('a SQLite store on a path that node:sqlite uses too', () => {
  for (const { name, run } of storeSuite(() => filePlace(DatabaseSync, (path) => sqliteStore(path)))) test(name, run)

  test('waits while the file is busy', async () => {
    const place = filePlace(DatabaseSync, (path) => {
      const other = new DatabaseSync(path)
      const store = sqliteStore(new DatabaseSync(path))
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
