import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type RedisClient, type RedisTransaction, redisStore } from '../../src/stores/redis.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'
import { lendRedis, type RedisServer } from '../servers/redis.ts'

let server: Pick<RedisServer, 'url' | 'remove'>
let admin: Redis
let places = 0

beforeAll(async () => {
  server = await lendRedis()
  admin = new Redis(server.url)
})
afterAll(async () => {
  admin.disconnect()
  await server.remove()
})

/** A new prefix in the server. */
function place(target: () => string | RedisClient): StorePlace {
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

describe('a Redis store, given a URL', () => {
  for (const { name, run } of storeSuite(() => place(() => server.url))) test(name, run)
})

describe('a Redis store, given a client of redis', () => {
  for (const { name, run } of storeSuite(() => place(() => createClient({ url: server.url })))) test(name, run)
})

describe('a Redis store, given a client of ioredis', () => {
  for (const { name, run } of storeSuite(() => place(() => new Redis(server.url, { lazyConnect: true })))) test(name, run)
})
