import { createLocks } from 'storelock'
import { postgresStore } from 'storelock/stores/postgres'
import type { Peer } from './peer.ts'

export const oursOnPostgres: Peer = {
  title: 'storelock on Postgres',
  server: 'postgres',
  held: [1, 3],
  handoffs: 100,
  async open({ servers }) {
    const store = postgresStore(servers.postgres ?? '')
    const locks = createLocks({ store })
    // Its connections are open from here on.
    await (await locks.acquire('warm')).release()
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
