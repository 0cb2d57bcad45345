import type { Peer } from './peer.ts'

// Prepared statements, over a unix socket: the fastest way.
const lock = { name: 'lock', text: 'SELECT pg_advisory_lock(1)' }
const unlock = { name: 'unlock', text: 'SELECT pg_advisory_unlock(1)' }

/** It queues its waiters, and has nothing to configure. */
export const postgres: Peer = {
  title: 'Postgres advisory lock',
  server: 'postgres',
  held: [1, 1],
  handoffs: 100,
  async open({ servers }) {
    // Imported only by its users, to keep other processes of the bench small.
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: servers.postgres })
    await client.connect()
    return {
      async acquire() {
        await client.query(lock)
        return () => client.query(unlock)
      },
      close: () => client.end(),
    }
  },
}
