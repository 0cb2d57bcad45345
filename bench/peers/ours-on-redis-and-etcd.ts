import { Redis } from 'ioredis'
import { createLocks, type Store } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { redisStore } from 'storelock/stores/redis'
import type { Locker, Peer } from './peer.ts'

async function lockerOf(store: Store): Promise<Locker> {
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
}

export const oursOnRedis: Peer = {
  title: 'storelock on Redis',
  server: 'redis',
  held: [1, 3],
  handoffs: 100,
  open: ({ servers }) => lockerOf(redisStore(new Redis(servers.redis ?? '', { lazyConnect: true }))),
}

export const oursOnEtcd: Peer = {
  title: 'storelock on etcd',
  server: 'etcd',
  held: [1, 3],
  handoffs: 50,
  open: ({ servers }) => lockerOf(etcdStore(servers.etcd ?? '')),
}
