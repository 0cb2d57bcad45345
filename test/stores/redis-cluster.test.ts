import { Redis } from 'ioredis'
import { createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RedisClient, type RedisTransaction, redisStore } from '../../src/stores/redis.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'
import { startRedisCluster } from '../servers/redis.ts'

let cluster: Awaited<ReturnType<typeof startRedisCluster>>
let admin: InstanceType<typeof Redis.Cluster>
let places = 0

beforeAll(async () => {
  cluster = await startRedisCluster()
  admin = new Redis.Cluster([cluster.nodes[0]?.url ?? ''])
})
afterAll(async () => {
  admin.disconnect()
  await cluster.remove()
})

/** A new prefix, so that the nodes take turns. */
function place(target: () => RedisClient): StorePlace {
  const prefix = `place ${++places}`
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

const kinds = [
  ['redis', () => createCluster({ rootNodes: cluster.nodes.map(({ url }) => ({ url })) })],
  ['ioredis', () => new Redis.Cluster([cluster.nodes[0]?.url ?? ''], { lazyConnect: true })],
] as const

describe.each(kinds)('a store in a Redis cluster, given a cluster of %s', (_, target) => {
  for (const { name, run } of storeSuite(() => place(target))) test(name, run)

  test('hears hints', async () => {
    const [one, other] = [redisStore(target()), redisStore(target())]
    const heard = vi.fn()
    one.channel.subscribe('topic', heard)
    await vi.waitFor(() => {
      other.channel.publish('topic', { key: 'k' })
      expect(heard).toHaveBeenCalledWith({ key: 'k' })
    })
    await one.close()
    await other.close()
  })
})
