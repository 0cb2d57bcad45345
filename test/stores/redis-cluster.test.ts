import { Redis } from 'ioredis'
import { createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { redisStore } from '../../src/stores/redis.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { startRedisCluster } from '../servers/redis.ts'
import { redisPlace } from './redis-place.ts'

let cluster: Awaited<ReturnType<typeof startRedisCluster>>
let admin: InstanceType<typeof Redis.Cluster>

beforeAll(async () => {
  cluster = await startRedisCluster()
  admin = new Redis.Cluster([cluster.nodes[0]?.url ?? ''])
})
afterAll(async () => {
  admin.disconnect()
  await cluster.remove()
})

const kinds = [
  ['redis', () => createCluster({ rootNodes: cluster.nodes.map(({ url }) => ({ url })) })],
  ['ioredis', () => new Redis.Cluster([cluster.nodes[0]?.url ?? ''], { lazyConnect: true })],
] as const

describe.each(kinds)('a store in a Redis cluster, given a cluster of %s', (_, target) => {
  for (const { name, run } of storeSuite(() => redisPlace(target, admin))) test(name, run)

  test('receives hints', async () => {
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
