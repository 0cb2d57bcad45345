import type { Database } from 'better-sqlite3'
import type { SqliteStore } from 'storelock/stores/sqlite'
import { type Counters, type Mode, modes, noTally, type Tally } from '../model/counters.ts'

/** Run once, before any process opens the counters. */
export const tables = 'CREATE TABLE counters (mode TEXT PRIMARY KEY, value INTEGER NOT NULL, made INTEGER NOT NULL)'

/** The counters, in the file that also has the lock. */
export function countersIn(db: Database, store: SqliteStore<Database>): Counters {
  const get = db.prepare<[Mode], Tally>('SELECT value, made FROM counters WHERE mode = ?')
  const put = db.prepare<{ mode: Mode; value: number }, Tally>(
    'INSERT INTO counters VALUES (@mode, @value, 1) ON CONFLICT DO UPDATE SET value = @value, made = made + 1 RETURNING value, made',
  )
  const written = (mode: Mode, value: number): Tally => put.get({ mode, value }) ?? noTally
  return {
    read: async (mode) => get.get(mode)?.value ?? 0,
    write: async (mode, value) => written(mode, value),
    writeFenced: (lock, value) => store.transaction(lock, () => written('fenced', value)),
    all: async () => Object.fromEntries(modes.map((mode) => [mode, get.get(mode) ?? noTally])) as Record<Mode, Tally>,
  }
}
