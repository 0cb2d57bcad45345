import { schemaVersion } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'
import type { Within } from './transaction.ts'

const tables = `
  CREATE TABLE IF NOT EXISTS storelock_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_records (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_sessions (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, session TEXT NOT NULL);
  INSERT OR IGNORE INTO storelock_meta (name, value) VALUES ('version', ${schemaVersion}), ('floor', 0);
`

/** Whether the text of a record, in this column, names no holder, no waiter and no pin. */
export const isEmptyText = (column: string): string => `substr(${column}, instr(${column}, ',['), 9) = ',[],[],[]'`

/** The word for conflicts of a statement that sets off a trigger would outweigh one that stands here. */
const addUsed = 'INSERT INTO storelock_used SELECT new.key WHERE NOT EXISTS (SELECT 1 FROM storelock_used WHERE key = new.key);'

/**
 * The keys of all records that are not empty, and of some that were so lately: what lists those that somebody holds need look at no others.
 * Triggers keep it, so that older versions do as well. Nothing is taken out where a lock is let go of, since the next grant would put it in again.
 */
const used = `
  CREATE TABLE storelock_used (key TEXT PRIMARY KEY) WITHOUT ROWID;
  INSERT INTO storelock_used SELECT key FROM storelock_records WHERE NOT ${isEmptyText('record')};
  CREATE TRIGGER IF NOT EXISTS storelock_used_insert AFTER INSERT ON storelock_records WHEN NOT ${isEmptyText('new.record')}
    BEGIN ${addUsed} END;
  CREATE TRIGGER IF NOT EXISTS storelock_used_update AFTER UPDATE OF record ON storelock_records
    WHEN ${isEmptyText('old.record')} AND NOT ${isEmptyText('new.record')}
    BEGIN ${addUsed} END;
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
    if (!db.prepare(`SELECT 1 FROM sqlite_master WHERE name = 'storelock_used'`).get()) db.exec(used)
    const row = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'version'`).get() as { value: number | bigint }
    if (row.value > schemaVersion) {
      throw new Error(`its tables are of a newer storelock (schema ${row.value}, this one knows ${schemaVersion}): update storelock`)
    }
  })
}
