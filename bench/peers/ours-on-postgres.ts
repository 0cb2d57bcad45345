import { postgresStore } from 'storelock/stores/postgres'
import { warmLockerOf } from './ours.ts'
import type { Peer } from './peer.ts'

export const oursOnPostgres: Peer = {
  title: 'storelock on Postgres',
  server: 'postgres',
  held: [1, 3],
  handoffs: 100,
  open: ({ servers }) => warmLockerOf(postgresStore(servers.postgres ?? '')),
}
