import { schemaVersion } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'
import type { Within } from './transaction.ts'

const tables = `
  CREATE TABLE IF NOT EXISTS storelock_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_records (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_sessions (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, session TEXT NOT NULL);
  INSERT OR IGNORE INTO storelock_meta (name, value) VALUES ('version', ${schemaVersion}), ('floor', 0);
`

/**
 * Readies a connection, and makes our tables where there are none.
 *
 * @param ours whether how the file is kept is ours to say
 * @throws Error if a newer version made the tables, which leaves them as they are
 */
export function setUp(db: SqliteDatabase, within: Within, ours: boolean): void {
  if (ours) db.exec('PRAGMA journal_mode = WAL')
  const { journal_mode: journal } = db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
  // As durable as a lock needs to be: no crash of a process loses anything. A handle that we share has no file, so is never in this mode.
  if (journal === 'wal') db.exec('PRAGMA synchronous = NORMAL')

  within('write', () => {
    db.exec(tables)
    const row = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'version'`).get() as { value: number | bigint }
    if (row.value > schemaVersion) {
      throw new Error(`its tables are of a newer storelock (schema ${row.value}, this one knows ${schemaVersion}): update storelock`)
    }
  })
}
