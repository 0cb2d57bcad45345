import type { Database } from 'better-sqlite3'
import { type Entry, type Ledger, StaleTokenError } from './ledger.ts'

/** Run once, before anyone opens the ledger. */
export const ledgerTables = `
  CREATE TABLE ledger (value INTEGER PRIMARY KEY, writer TEXT NOT NULL, token INTEGER NOT NULL);
  CREATE TABLE newest (token INTEGER NOT NULL);
  INSERT INTO newest VALUES (0);`

/** A ledger in the same file as the lock that protects it. */
export function sqliteLedger(db: Database): Ledger {
  const raise = db.prepare<[number, number]>('UPDATE newest SET token = ? WHERE token <= ?')
  const newest = db.prepare<[], number>('SELECT token FROM newest').pluck()
  const last = db.prepare<[], number>('SELECT coalesce(max(value), 0) FROM ledger').pluck()
  const put = db.prepare<[Entry]>('INSERT OR REPLACE INTO ledger VALUES (@value, @writer, @token)')
  const under = db.prepare<[number], number>('SELECT 1 FROM ledger WHERE token = ?').pluck()
  const all = db.prepare<[], Entry>('SELECT value, writer, token FROM ledger ORDER BY value')

  const fenced = db.transaction((token: number, step: () => number): number => {
    if (raise.run(token, token).changes === 0) throw new StaleTokenError(token, newest.get() ?? 0)
    return step()
  })

  return {
    read: async (token) => fenced.immediate(token, () => last.get() ?? 0),
    write: async (entry) => {
      fenced.immediate(entry.token, () => put.run(entry).changes)
    },
    has: async (token) => under.get(token) !== undefined,
    entries: async () => all.all(),
  }
}
