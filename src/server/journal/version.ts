import type { SqliteDatabase } from '../../stores/sqlite/driver.ts'

/** The version of the journal's tables. The tables of a newer storelock may mean something else. */
const journalVersion = 1

/**
 * Writes the version of the tables, in the transaction that creates them.
 * @throws Error if a newer version created them; then they are not changed
 */
export function noteVersion(db: SqliteDatabase): void {
  db.exec('CREATE TABLE IF NOT EXISTS storelock_journal (name TEXT PRIMARY KEY, value INTEGER NOT NULL)')
  db.exec(`INSERT OR IGNORE INTO storelock_journal VALUES ('version', ${journalVersion})`)
  const { value } = db.prepare(`SELECT value FROM storelock_journal WHERE name = 'version'`).get() as { value: number | bigint }
  if (value > journalVersion)
    throw new Error(`the tables of its log were made by a newer storelock (journal ${value}, this one knows ${journalVersion}): update storelock`)
}
