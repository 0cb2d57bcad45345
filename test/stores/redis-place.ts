import type { Cluster, Redis } from 'ioredis'
import { type RedisClient, type RedisTransaction, redisStore } from '../../src/stores/redis.ts'
import type { StorePlace } from '../../src/testing/index.ts'

let places = 0

/** A place with its own prefix in a server or a cluster. @param admin for changes behind the store's back */
export function redisPlace(target: () => string | RedisClient, admin: Redis | Cluster): StorePlace {
  const prefix = `test ${process.pid} ${++places}`
  return {
    open: () => redisStore(target(), { prefix }),
    corrupt: async (key) => void (await admin.set(`{${prefix}}:r:${key}`, 'x'.repeat(20))),
    raw: (key) => admin.get(`{${prefix}}:r:${key}`),
    fence: {
      write: (tx: RedisTransaction, text: string) => tx.call('SET', `{${prefix}} written`, text),
      written: async () => (await admin.get(`{${prefix}} written`)) ?? undefined,
    },
  }
}
