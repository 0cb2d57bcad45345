import type Database from 'better-sqlite3'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { migrate as run } from 'drizzle-orm/better-sqlite3/migrator'
import type { HeldLock, Locks } from 'storelock'
import type { SqliteStore } from 'storelock/stores/sqlite'

/** @param migrationsFolder drizzle-kit's folder of migrations */
export async function migrate(
  locks: Locks,
  store: SqliteStore<Database.Database>,
  handle: Database.Database,
  migrationsFolder: string,
): Promise<void> {
  await using lock = await locks.acquire('migrate')
  try {
    run(drizzle({ client: fenced(handle, store, lock) }), { migrationsFolder })
  } catch (error) {
    if (handle.inTransaction) handle.exec('ROLLBACK')
    throw error
  }
}

/** Drizzle begins the transaction by itself, so the check has to run right after its BEGIN. */
function fenced(handle: Database.Database, store: SqliteStore<Database.Database>, lock: HeldLock): Database.Database {
  const prepare = (sql: string): unknown => {
    const statement = handle.prepare(sql)
    if (sql !== 'BEGIN') return statement
    return { run: () => [statement.run(), store.check(handle, lock)] }
  }
  return Object.create(handle, { prepare: { value: prepare } })
}
