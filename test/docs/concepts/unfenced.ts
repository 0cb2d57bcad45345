import type { Database } from 'better-sqlite3'
import type { Locks } from 'storelock'

/** Adds one. `work` stands for anything that takes time between the read and the write. */
export async function addOne(locks: Locks, db: Database, work: (count: number) => Promise<void>): Promise<void> {
  await locks.request('count', async (lock) => {
    const count = db.prepare('SELECT value FROM numbers').pluck().get() as number
    await work(count)
    if (!lock.isHeld()) return
    // If the process is stopped here for a minute, it does not notice when it goes on.
    db.prepare('UPDATE numbers SET value = ?').run(count + 1)
  })
}
