import type { Store } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { postgresStore } from 'storelock/stores/postgres'
import { redisStore } from 'storelock/stores/redis'
import { startEtcd } from '../../test/servers/etcd.ts'
import { startPostgres } from '../../test/servers/postgres.ts'
import { startRedis } from '../../test/servers/redis.ts'

export interface Server {
  readonly url: string
  pids(): readonly number[]
  remove(): Promise<void>
}

/** The stores of other machines, as they are measured: the servers wait for their disk if that is their default. */
export const kinds = {
  postgres: {
    title: 'Postgres',
    start: (): Promise<Server> => startPostgres({ max_connections: '500' }),
    open: (url: string): Store => postgresStore(url),
  },
  redis: { title: 'Redis', start: (): Promise<Server> => startRedis(), open: (url: string): Store => redisStore(url) },
  etcd: { title: 'etcd', start: (): Promise<Server> => startEtcd(), open: (url: string): Store => etcdStore(url) },
} as const

export type Kind = keyof typeof kinds
