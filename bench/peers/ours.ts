import { join } from 'node:path'
import { createLocks, type LocksOptions, type Store } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import type { Locker, Peer } from './peer.ts'

/** Only a hint or a proof can be fast then: who looks by itself does so after seconds. */
export const options = { duration: 10_000, maxBackoff: 60_000 }

export const ours: Peer = {
  title: 'storelock',
  held: [1, 1],
  handoffs: 100,
  open: async ({ folder }) => lockerOf(sqliteStore(join(folder, 'locks.db')), options),
}

/** One who takes and releases our lock on a store. */
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

/** The same, once the store's connections are open. */
export async function warmLockerOf(store: Store): Promise<Locker> {
  const locker = lockerOf(store)
  await (await locker.acquire())()
  return locker
}
