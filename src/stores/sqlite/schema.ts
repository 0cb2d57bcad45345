import { schemaVersion } from '../../protocol/index.ts'
import { apartTable } from './apart.ts'
import type { SqliteDatabase } from './driver.ts'
import type { Within } from './transaction.ts'

// Those who end many sessions do so in the order of their ids: they write fewer pages where the rows stand in that order.
const tables = `
  CREATE TABLE IF NOT EXISTS storelock_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_records (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_sessions (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, session TEXT NOT NULL) WITHOUT ROWID;
  ${apartTable}
  INSERT OR IGNORE INTO storelock_meta (name, value) VALUES ('version', ${schemaVersion}), ('floor', 0);
`

/**
 * Readies a connection, and makes our tables where there are none. Where they are, nothing is written: one who may only read can look,
 * and nobody waits for another's transaction.
 *
 * @param ours whether how the file is kept is ours to say
 * @throws Error if a newer version made the tables, which leaves them as they are
 */
export function setUp(db: SqliteDatabase, within: Within, ours: boolean): void {
  const journal = (): string => (db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }).journal_mode
  const made = versionOf(db) !== undefined
  if (ours && journal() !== 'wal') {
    try {
      db.exec('PRAGMA journal_mode = WAL')
    } catch (error) {
      // Somebody is at it, or it is not for us to write. Another mode is slower, and as right.
      if (!made) throw error
    }
  }
  // As durable as a lock needs to be: no crash of a process loses anything. A handle that we share has no file, so is never in this mode.
  if (journal() === 'wal') db.exec('PRAGMA synchronous = NORMAL')
  const assertKnown = (): void => {
    const version = versionOf(db) ?? 0
    if (version <= schemaVersion) return
    throw new Error(`its tables are of a newer storelock (schema ${version}, this one knows ${schemaVersion}): update storelock`)
  }
  const make = (): void => {
    const left = tablesIn(db)
    db.exec(tables)
    // Somebody has dropped some, and what the others say is void: no session is to go on believing that it holds what no record names.
    if (left && left < tableCount) db.exec('DELETE FROM storelock_sessions')
    // Nothing of this stays where the tables are a newer version's.
    assertKnown()
  }
  if (made) assertKnown()
  else within('write', make)
}

/** Whether an error says that a table of ours is gone, as what migrates a database drops what it does not know. */
export const areDropped = (error: unknown): boolean => /no such table: (\w+\.)?storelock_/.test((error as Error).message)

const tableCount = 3

function tablesIn(db: SqliteDatabase): number {
  const find = db.prepare(
    `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name IN ('storelock_meta', 'storelock_records', 'storelock_sessions')`,
  )
  return find.all().length
}

/** `undefined` if there are no tables, or not all. */
function versionOf(db: SqliteDatabase): number | bigint | undefined {
  if (tablesIn(db) < tableCount) return undefined
  const row = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'version'`).get() as { value: number | bigint } | undefined
  return row?.value
}
