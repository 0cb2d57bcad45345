import type { Knex } from 'knex'
import type { Locks } from 'storelock'
import type { SqliteDatabase, SqliteStore } from 'storelock/stores/sqlite'

/** @returns the migrations that this process has run: an empty list if another process has run them all */
export async function migrate<M>(
  locks: Locks,
  store: SqliteStore<SqliteDatabase>,
  knex: Knex,
  migrationSource: Knex.MigrationSource<M>,
): Promise<string[]> {
  await using lock = await locks.acquire('migrate')
  // Knex has its own lock, a row that a killed process may leave locked. No other process migrates now, so the row can be reset.
  await knex.migrate.forceFreeMigrationsLock()
  const fenced: Knex.MigrationSource<M> = {
    getMigrations: (extensions) => migrationSource.getMigrations(extensions),
    getMigrationName: (migration) => migrationSource.getMigrationName(migration),
    async getMigration(migration) {
      const { up, ...rest } = await migrationSource.getMigration(migration)
      const checked: typeof up = async (trx) => {
        store.check(await trx.client.acquireConnection(), lock)
        await up(trx)
      }
      return { ...rest, up: checked }
    },
  }
  const [, names] = await knex.migrate.latest({ migrationSource: fenced })
  return names
}
