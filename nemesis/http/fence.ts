import type { Database } from 'better-sqlite3'
import { LockError } from 'storelock'
import type { Fenced } from 'storelock/protocol'

/** Run once, before any worker opens the file. */
export const tokenTable = 'CREATE TABLE tokens (key TEXT PRIMARY KEY, token INTEGER NOT NULL)'

/** The fence for data that is not in the lock server's store: it keeps the highest token seen for each key, beside the rows. */
export function tokensIn(db: Database) {
  const highest = db.prepare<[string], number>('SELECT token FROM tokens WHERE key = ?').pluck()
  const raise = db.prepare<[string, number]>('INSERT INTO tokens VALUES (?, ?) ON CONFLICT DO UPDATE SET token = max(token, excluded.token)')
  const take = db.transaction(({ key, token }: Fenced, step: () => void) => {
    const other = highest.get(key) ?? 0
    if (token < other) throw new LockError('lost', `token ${token} is older than ${other}`)
    raise.run(key, token)
    step()
  })
  return {
    /** Leaves a token at a read too: from then on, no holder with an older token can change what was read. */
    leave: ({ key, token }: Fenced) => void raise.run(key, token),
    transaction(lock: Fenced, step: () => void): void {
      lock.assertHeld()
      take.immediate(lock, step)
    },
  }
}
