import type { Database } from 'better-sqlite3'
import type { Locks } from 'storelock'
import type { SqliteStore } from 'storelock/stores/sqlite'

/** Adds one. `work` stands for anything that takes time between the read and the write. */
export async function addOne(locks: Locks, store: SqliteStore<Database>, db: Database, work: (count: number) => Promise<void>): Promise<void> {
  await locks.request('count', async (lock) => {
    const count = db.prepare('SELECT value FROM numbers').pluck().get() as number
    await work(count)
    await store.transaction(lock, (tx) => {
      // The database has checked the lock. No other process can get it before this transaction commits.
      tx.prepare('UPDATE numbers SET value = ?').run(count + 1)
    })
  })
}
