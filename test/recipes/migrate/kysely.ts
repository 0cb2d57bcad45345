import type Database from 'better-sqlite3'
import { Kysely, type MigrationProvider, Migrator, SqliteDialect } from 'kysely'
import type { Locks } from 'storelock'
import type { SqliteStore } from 'storelock/stores/sqlite'

/** @returns the migrations that this process has run: an empty list if another process has run them all */
export async function migrate(
  locks: Locks,
  store: SqliteStore<Database.Database>,
  handle: Database.Database,
  provider: MigrationProvider,
): Promise<string[]> {
  await using lock = await locks.acquire('migrate')
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: handle }) })
  // Kysely does not begin a transaction for migrations on SQLite.
  handle.exec('BEGIN')
  try {
    // From here to the commit no other process can get the lock. If the lock is already lost, this throws, and nothing is written.
    store.check(handle, lock)
    const { results = [], error } = await new Migrator({ db, provider }).migrateToLatest()
    if (error) throw error
    handle.exec('COMMIT')
    return results.map(({ migrationName }) => migrationName)
  } catch (error) {
    if (handle.inTransaction) handle.exec('ROLLBACK')
    throw error
  }
}
