import type { SqliteDatabase } from '../../stores/sqlite/driver.ts'

/** Of the journal's tables. One that a newer storelock made may mean something else. */
const journalVersion = 1

/**
 * Notes the version of the tables, within the transaction that makes them.
 * @throws Error if a newer version made them, which leaves them as they are
 */
export function noteVersion(db: SqliteDatabase): void {
  db.exec('CREATE TABLE IF NOT EXISTS storelock_journal (name TEXT PRIMARY KEY, value INTEGER NOT NULL)')
  db.exec(`INSERT OR IGNORE INTO storelock_journal VALUES ('version', ${journalVersion})`)
  const { value } = db.prepare(`SELECT value FROM storelock_journal WHERE name = 'version'`).get() as { value: number | bigint }
  if (value > journalVersion)
    throw new Error(`the tables of its log are of a newer storelock (journal ${value}, this one knows ${journalVersion}): update storelock`)
}
