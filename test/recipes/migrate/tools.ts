import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Knex } from 'knex'
import type { Kysely } from 'kysely'
import { createLocks, type Locks } from 'storelock'
import { type SqliteStore, sqliteStore } from 'storelock/stores/sqlite'
import { migrations } from './migrations.ts'

export type Tool = 'kysely' | 'drizzle' | 'knex'

interface Place {
  readonly folder: string
  readonly locks: Locks
  readonly store: SqliteStore<Database.Database>
  readonly handle: Database.Database
  /** Defines the function that the migrations call on a connection. */
  readonly prepare: (handle: Database.Database) => void
}

// Each tool is loaded only when it is used, since loading takes long and a process uses only one.
const tools: Record<Tool, (place: Place) => Promise<unknown>> = {
  async kysely({ locks, store, handle }) {
    const [{ sql }, { migrate }] = await Promise.all([import('kysely'), import('./kysely.ts')])
    const made = migrations.map(({ name, sql: text }) => [name, { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) }])
    await migrate(locks, store, handle, { getMigrations: async () => Object.fromEntries(made) })
  },
  async drizzle({ folder, locks, store, handle }) {
    const { migrate } = await import('./drizzle.ts')
    await migrate(locks, store, handle, join(folder, 'drizzle'))
  },
  async knex({ folder, locks, store, prepare }) {
    const [{ default: makeKnex }, { migrate }] = await Promise.all([import('knex'), import('./knex.ts')])
    const afterCreate = (handle: Database.Database, done: () => void): void => {
      prepare(handle)
      done()
    }
    const connection = { filename: join(folder, 'app.db') }
    const log = { warn() {}, error() {} }
    const knex = makeKnex({ client: 'better-sqlite3', connection, useNullAsDefault: true, pool: { afterCreate }, log })
    const source: Knex.MigrationSource<(typeof migrations)[number]> = {
      getMigrations: async () => migrations,
      getMigrationName: ({ name }) => name,
      getMigration: async ({ sql }) => ({ up: async (knex) => void (await knex.raw(sql)), down: async () => {} }),
    }
    await migrate(locks, store, knex, source).finally(() => knex.destroy())
  },
}

/**
 * Migrates the database in a folder, by the recipe for a tool.
 * @param meddle called in the middle of the last migration
 * @param around wraps the `Locks` that the recipe gets
 */
export async function migrate(tool: Tool, folder: string, meddle = () => {}, around = (locks: Locks): Locks => locks): Promise<void> {
  const prepare = (handle: Database.Database): void => {
    handle.function('meddle', () => {
      meddle()
      return 1
    })
  }
  const handle = new Database(join(folder, 'app.db'))
  prepare(handle)
  const store = sqliteStore(handle)
  const locks = createLocks({ store })
  try {
    await tools[tool]({ folder, locks: around(locks), store, handle, prepare })
  } finally {
    await locks.close()
    await store.close()
    handle.close()
  }
}
