import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeSuite } from '../../src/testing/index.ts'
import { lendRedis, type RedisServer } from '../servers/redis.ts'
import { redisPlace } from './redis-place.ts'

let server: Pick<RedisServer, 'url' | 'remove'>
let admin: Redis

beforeAll(async () => {
  server = await lendRedis()
  admin = new Redis(server.url)
})
afterAll(async () => {
  admin.disconnect()
  await server.remove()
})

describe('a Redis store, given a URL', () => {
  for (const { name, run } of storeSuite(() => redisPlace(() => server.url, admin))) test(name, run)
})

describe('a Redis store, given a client of redis', () => {
  for (const { name, run } of storeSuite(() => redisPlace(() => createClient({ url: server.url }), admin))) test(name, run)
})

describe('a Redis store, given a client of ioredis', () => {
  for (const { name, run } of storeSuite(() => redisPlace(() => new Redis(server.url, { lazyConnect: true }), admin))) test(name, run)
})
