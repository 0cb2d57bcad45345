import type { Database } from 'better-sqlite3'
import type { Final, Write } from '../history.ts'

/** Run once, before any worker opens the file. */
export const tables = `
  CREATE TABLE rows (key TEXT PRIMARY KEY, id TEXT NOT NULL, token INTEGER NOT NULL, saw TEXT NOT NULL, value INTEGER NOT NULL);
  CREATE TABLE log (place INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, id TEXT NOT NULL, token INTEGER NOT NULL, saw TEXT NOT NULL, value INTEGER NOT NULL);
  CREATE TABLE ballast (content BLOB NOT NULL)`

/** The data that the locks protect, in the file of the locks. */
export function rowsIn(db: Database) {
  const row = db.prepare<[string], Write>('SELECT * FROM rows WHERE key = ?')
  const put = db.prepare<[Write]>('INSERT OR REPLACE INTO rows (key, id, token, saw, value) VALUES (@key, @id, @token, @saw, @value)')
  const append = db.prepare<[Write]>('INSERT INTO log (key, id, token, saw, value) VALUES (@key, @id, @token, @saw, @value)')
  const written = db.prepare<[], number>('SELECT coalesce(max(place), 0) FROM log').pluck()
  const rows = db.prepare<[], Write>('SELECT * FROM rows')
  const log = db.prepare<[], Write>('SELECT key, id, token, saw, value FROM log ORDER BY place')
  return {
    read: (key: string) => row.get(key),
    /** Must be called within a transaction. */
    write(write: Write): void {
      put.run(write)
      append.run(write)
    },
    /** How many writes have ever been made. */
    written: () => written.get() ?? 0,
    final: (): Final => ({ rows: rows.all(), log: log.all() }),
  }
}
