import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../src/store.ts'
import type { SqliteDatabase } from '../../src/stores/sqlite.ts'
import type { StorePlace } from '../../src/testing/index.ts'

export type Opener = new (path: string) => SqliteDatabase

/** A place with a new file. `open` opens a store on it; `Database` is for changes behind the store's back. */
export function filePlace(Database: Opener, open: (path: string) => Store): StorePlace {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const path = join(folder, 'test.db')
  const within = <T>(use: (db: SqliteDatabase) => T): T => {
    const db = new Database(path)
    try {
      return use(db)
    } finally {
      db.close()
    }
  }
  return {
    open: () => open(path),
    fence: { write, written: () => within(written) },
    corrupt: (key) => within((db) => corrupt(db, key)),
    raw: (key) => within((db) => raw(db, key)),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

/** A place with a user's handle to a new file, from which each store is made. */
export function handlePlace(Database: Opener, open: (db: SqliteDatabase) => Store): StorePlace {
  const handles: SqliteDatabase[] = []
  const place = filePlace(Database, (path) => {
    const db = new Database(path)
    handles.push(db)
    return open(db)
  })
  return {
    ...place,
    async remove() {
      for (const db of handles) db.close()
      await place.remove?.()
    },
  }
}

/** A place with a user's handle to a database without a file, which all stores share. */
export function memoryPlace(Database: Opener, open: (db: SqliteDatabase) => Store): StorePlace {
  const db = new Database(':memory:')
  return {
    open: () => open(db),
    fence: { write, written: () => written(db) },
    corrupt: (key) => corrupt(db, key),
    raw: (key) => raw(db, key),
    remove: () => void db.close(),
  }
}

function corrupt(db: SqliteDatabase, key: string): void {
  db.prepare('UPDATE storelock_records SET record = ? WHERE key = ?').run('rubbish', key)
}

const raw = (db: SqliteDatabase, key: string): unknown =>
  (db.prepare('SELECT record FROM storelock_records WHERE key = ?').get(key) as { record: unknown } | undefined)?.record

function write(tx: SqliteDatabase, text: string): void {
  tx.exec('CREATE TABLE IF NOT EXISTS theirs (text)')
  tx.prepare('DELETE FROM theirs').run()
  tx.prepare('INSERT INTO theirs VALUES (?)').run(text)
}

function written(db: SqliteDatabase): unknown {
  if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'theirs'").get()) return undefined
  return (db.prepare('SELECT text FROM theirs').get() as { text: string }).text
}
