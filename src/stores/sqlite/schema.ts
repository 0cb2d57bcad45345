import { schemaVersion } from '../../protocol/index.ts'
import { apartTable } from './apart.ts'
import type { SqliteDatabase } from './driver.ts'
import type { Within } from './transaction.ts'

// Many sessions are ended in the order of their ids: fewer pages are written if the rows are in that order.
const tables = `
  CREATE TABLE IF NOT EXISTS storelock_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_records (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_sessions (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, session TEXT NOT NULL) WITHOUT ROWID;
  ${apartTable}
  INSERT OR IGNORE INTO storelock_meta (name, value) VALUES ('version', ${schemaVersion}), ('floor', 0);
`

/**
 * Sets up a connection, and creates our tables if they are missing. If they exist, nothing is written, so that a read-only user can look and no
 * caller waits for another transaction.
 *
 * @param ours whether we decide on journal mode and durability
 * @throws Error if a newer version made the tables; they are not changed
 */
export function setUp(db: SqliteDatabase, within: Within, ours: boolean): void {
  const journal = (): string => (db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }).journal_mode
  const made = versionOf(db) !== undefined
  if (ours && journal() !== 'wal') {
    try {
      db.exec('PRAGMA journal_mode = WAL')
    } catch (error) {
      // Another connection is using the database, or we may not write. Another mode is slower, but just as correct.
      if (!made) throw error
    }
  }
  // As durable as a lock needs to be: no crash of a process loses anything. A handle that we share has no file, so it is never in this mode.
  if (journal() === 'wal') db.exec('PRAGMA synchronous = NORMAL')
  const make = (): void => {
    const left = tablesIn(db)
    db.exec(tables)
    // Some tables were dropped, so the rest is void: no session must go on believing that it holds a lock that no record names.
    if (left && left < tableCount) db.exec('DELETE FROM storelock_sessions')
    // If a newer version made the tables, this is rolled back.
    assertKnown(db)
  }
  if (made) assertKnown(db)
  else within('write', make)
}

/** Whether our tables are there. @throws Error if a newer version made them */
export function isSetUp(db: SqliteDatabase): boolean {
  assertKnown(db)
  return versionOf(db) !== undefined
}

function assertKnown(db: SqliteDatabase): void {
  const version = versionOf(db) ?? 0
  if (version <= schemaVersion) return
  throw new Error(`its tables were made by a newer storelock (schema ${version}, this one knows ${schemaVersion}): update storelock`)
}

/** Whether an error says that a table of ours is gone, for example because a migration tool has dropped unknown tables. */
export const areDropped = (error: unknown): boolean => /no such table: (\w+\.)?storelock_/.test((error as Error).message)

const tableCount = 3

function tablesIn(db: SqliteDatabase): number {
  const find = db.prepare(
    `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name IN ('storelock_meta', 'storelock_records', 'storelock_sessions')`,
  )
  return find.all().length
}

/** `undefined` if some or all tables are missing. */
function versionOf(db: SqliteDatabase): number | bigint | undefined {
  if (tablesIn(db) < tableCount) return undefined
  const row = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'version'`).get() as { value: number | bigint } | undefined
  return row?.value
}
