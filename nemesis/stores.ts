import type { OpenArena } from './arena.ts'
import { openServed, openServers } from './http/arena.ts'
import { openTabs } from './indexeddb/arena.ts'
import { openRemote } from './remote/arena.ts'
import { openCluster } from './remote/cluster.ts'
import { openFailover } from './remote/failover.ts'
import { openProcesses } from './sqlite/arena.ts'

/** The stores that workers can use, by their names on the command line. */
export const stores: Readonly<Record<string, OpenArena>> = {
  sqlite: openProcesses,
  indexeddb: openTabs,
  http: openServed,
  servers: openServers,
  postgres: openRemote('postgres'),
  redis: openRemote('redis'),
  'redis-failover': openFailover,
  etcd: openRemote('etcd'),
  'etcd-cluster': openCluster,
}
