import { DatabaseSync } from 'node:sqlite'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'

test('these tests run on node:sqlite, even if they import better-sqlite3 or give a path', async () => {
  expect(Database.prototype).toBeInstanceOf(DatabaseSync)
  const store = sqliteStore(':memory:')
  expect(store.connect()).toBeInstanceOf(DatabaseSync)
  await store.close()
})
