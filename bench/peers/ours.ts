import { join } from 'node:path'
import { createLocks, type LocksOptions, type Store } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import type { Locker, Peer } from './peer.ts'

/** With these options only a hint or a proof of death can be fast: a waiter looks by itself only after seconds. */
export const options = { duration: 10_000, maxBackoff: 60_000 }

export const ours: Peer = {
  title: 'storelock',
  held: [1, 1],
  handoffs: 100,
  open: async ({ folder }) => lockerOf(sqliteStore(join(folder, 'locks.db')), options),
}

/** A locker for our lock on a store. */
function lockerOf(store: Store, options: Omit<LocksOptions, 'store'> = {}): Locker {
  const locks = createLocks({ store, ...options })
  return {
    async acquire() {
      const lock = await locks.acquire('job')
      return () => lock.release()
    },
    async close() {
      await locks.close()
      await store.close()
    },
  }
}

/** The same, with the store's connections already open. */
export async function warmLockerOf(store: Store): Promise<Locker> {
  const locker = lockerOf(store)
  await (await locker.acquire())()
  return locker
}
