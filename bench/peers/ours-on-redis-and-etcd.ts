import { Redis } from 'ioredis'
import { etcdStore } from 'storelock/stores/etcd'
import { redisStore } from 'storelock/stores/redis'
import { warmLockerOf } from './ours.ts'
import type { Peer } from './peer.ts'

export const oursOnRedis: Peer = {
  title: 'storelock on Redis',
  server: 'redis',
  held: [1, 3],
  handoffs: 100,
  open: ({ servers }) => warmLockerOf(redisStore(new Redis(servers.redis ?? '', { lazyConnect: true }))),
}

export const oursOnEtcd: Peer = {
  title: 'storelock on etcd',
  server: 'etcd',
  held: [1, 3],
  handoffs: 50,
  open: ({ servers }) => warmLockerOf(etcdStore(servers.etcd ?? '')),
}
