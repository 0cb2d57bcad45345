import type Database from 'better-sqlite3'
import { Kysely, type MigrationProvider, Migrator, SqliteDialect } from 'kysely'
import type { Locks } from 'storelock'
import type { SqliteStore } from 'storelock/stores/sqlite'

/** @returns the migrations that were run here; none if another process has run them */
export async function migrate(
  locks: Locks,
  store: SqliteStore<Database.Database>,
  handle: Database.Database,
  provider: MigrationProvider,
): Promise<string[]> {
  await using lock = await locks.acquire('migrate')
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: handle }) })
  // Kysely begins no transaction for migrations of SQLite.
  handle.exec('BEGIN')
  try {
    // From here to the commit nobody else can get the lock. If it is lost already, this throws, and nothing is written.
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
