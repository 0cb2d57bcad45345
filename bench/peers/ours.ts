import { join } from 'node:path'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import type { Peer } from './peer.ts'

/** Only a hint or a proof can be fast then: who looks by itself does so after seconds. */
export const options = { duration: 10_000, maxBackoff: 60_000 }

export const ours: Peer = {
  title: 'storelock',
  held: [1, 1],
  handoffs: 100,
  async open({ folder }) {
    const store = sqliteStore(join(folder, 'locks.db'))
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
  },
}
