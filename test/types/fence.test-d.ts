import { DatabaseSync } from 'node:sqlite'
import Database from 'better-sqlite3'
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import type { Fenced, Guard, HeldLock } from 'storelock'
import { type FenceSchema, fenceStore, indexedDBStore } from 'storelock/stores/indexeddb'
import { memoryStore } from 'storelock/stores/memory'
import { type SqliteDatabase, type SqliteStore, sqliteStore } from 'storelock/stores/sqlite'
import { describe, expectTypeOf, it } from 'vitest'

declare const lock: HeldLock

interface App extends DBSchema, FenceSchema {
  notes: { key: number; value: string }
}

describe('fenced writes', () => {
  it('take held locks and guards', () => {
    expectTypeOf<HeldLock>().toExtend<Fenced>()
    expectTypeOf<Guard>().toExtend<Fenced>()
  })

  it('on SQLite pass on the type of the given handle', () => {
    const store = sqliteStore(new Database('app.db'))
    expectTypeOf(store).toEqualTypeOf<SqliteStore<Database.Database>>()
    store.transaction(lock, (tx) => expectTypeOf(tx).toEqualTypeOf<Database.Database>())
    sqliteStore(new DatabaseSync('app.db')).transaction(lock, (tx) => expectTypeOf(tx).toEqualTypeOf<DatabaseSync>())
    expectTypeOf(sqliteStore('app.db')).toEqualTypeOf<SqliteStore<SqliteDatabase>>()
    expectTypeOf(store.transaction(lock, () => 7)).toEqualTypeOf<Promise<number>>()
  })

  it('on IndexedDB have the types of the schema, without a cast', async () => {
    const db = await openDB<App>('app')
    const store = indexedDBStore(db)
    store.transaction(lock, ['notes'], async (tx) => {
      expectTypeOf(tx).toEqualTypeOf<IDBPTransaction<App, ['notes'], 'readwrite'>>()
      expectTypeOf(await tx.objectStore('notes').get(1)).toEqualTypeOf<string | undefined>()
      // @ts-expect-error a note is a text
      await tx.objectStore('notes').put(7, 1)
    })
    expectTypeOf(store.transaction(lock, ['notes'], (tx) => tx.objectStore('notes').count())).toEqualTypeOf<Promise<number>>()
    // @ts-expect-error there is no such object store
    store.transaction(lock, ['drafts'], () => {})
    store.check(db.transaction(['notes', fenceStore], 'readwrite'), lock)
  })

  it('on IndexedDB accept databases without a schema, and the browser’s own', () => {
    indexedDBStore({} as IDBPDatabase).transaction(lock, ['any'], (tx) => tx.objectStore('any').put(1, 1))
    indexedDBStore({} as IDBDatabase).transaction(lock, ['any'], (tx) => expectTypeOf(tx).toEqualTypeOf<IDBTransaction>())
  })

  it('in memory have no transaction to pass on', () => {
    memoryStore().transaction(lock, (tx) => expectTypeOf(tx).toEqualTypeOf<undefined>())
  })
})
