import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll } from 'vitest'
import { memoryJournal } from '../../src/server/journal/memory.ts'
import { postgresJournal } from '../../src/server/journal/postgres.ts'
import { sqliteJournal } from '../../src/server/journal/sqlite.ts'
import type { Journal } from '../../src/server/journal.ts'
import type { Store } from '../../src/store.ts'
import type { Beside } from '../../src/stores/postgres/beside.ts'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from '../../src/stores/postgres.ts'
import { lendPostgres } from '../servers/postgres.ts'
import { newSchema } from '../stores/postgres-place.ts'
import { atEnd } from './world.ts'

/** The path for a new database file, which is removed at the end of the test. */
export function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  return join(folder, 'locks.db')
}

/** Runs a Postgres for the tests of a file. @returns a function that opens a store in a schema, by default a new one, until the end of the test */
export function usePostgres(): (schema?: string, options?: PostgresStoreOptions) => PostgresStore<never> & Store {
  let server: Awaited<ReturnType<typeof lendPostgres>>
  beforeAll(async () => {
    server = await lendPostgres()
  })
  afterAll(() => server.remove())
  return (schema = newSchema(), options = {}) => {
    const store = atEnd(postgresStore(server.url, { schema, ...options }))
    return store as unknown as PostgresStore<never> & Store
  }
}

export const besideOf = (store: object): Beside => (store as { beside: Beside }).beside

/** Functions that make a journal of each kind. */
export function journals(): Record<string, () => Promise<Journal>> {
  const open = usePostgres()
  return {
    memory: async () => memoryJournal(),
    SQLite: () => sqliteJournal(new Database(newFile())),
    Postgres: () => postgresJournal(besideOf(open())),
  }
}
