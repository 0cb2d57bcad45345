import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'

/** A new file; `open` says how a store gets to it. */
function place(open: (path: string) => ReturnType<typeof sqliteStore>): StorePlace {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const path = join(folder, 'test.db')
  const within = <T>(use: (db: Database.Database) => T): T => {
    const db = new Database(path)
    try {
      return use(db)
    } finally {
      db.close()
    }
  }
  return {
    open: () => open(path),
    corrupt: (key) => void within((db) => db.prepare('UPDATE storelock_records SET record = ? WHERE key = ?').run('rubbish', key)),
    raw: (key) => within((db) => db.prepare('SELECT record FROM storelock_records WHERE key = ?').pluck().get(key)),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

describe('a SQLite store on a path', () => {
  for (const { name, run } of storeSuite(() => place((path) => sqliteStore(path)))) test(name, run)
})
