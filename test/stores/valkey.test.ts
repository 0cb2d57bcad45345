import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { type RedisStoreOptions, redisStore } from '../../src/stores/redis.ts'
import { storeSuite } from '../../src/testing/index.ts'
import { findCommand, programs } from '../servers/programs.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'
import { redisPlace } from './redis-place.ts'

const isHere = programs.valkey.commands.every(findCommand)

describe.runIf(isHere)('a Redis store in Valkey', () => {
  let server: RedisServer
  let admin: Redis
  beforeAll(async () => {
    server = await startRedis({}, programs.valkey)
    admin = new Redis(server.url)
  })
  afterAll(async () => {
    admin.disconnect()
    await server.remove()
  })
  for (const { name, run } of storeSuite(() => redisPlace(() => server.url, admin))) test(name, run)
})

describe.runIf(isHere)('a Redis store that waits for the disk of its Valkey', () => {
  const opened: { close?(): unknown; remove?(): Promise<void> }[] = []
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) {
      await each.close?.()
      await each.remove?.()
    }
  })
  const start = async (settings: Record<string, string>): Promise<RedisServer> => {
    const server = await startRedis(settings, programs.valkey)
    opened.push(server)
    return server
  }
  const open = (server: RedisServer, options: RedisStoreOptions = { durability: { disk: true } }) => {
    const store = redisStore(server.url, options)
    opened.push(store)
    return store
  }

  test('has each change on the disk before it counts', async () => {
    const server = await start({ appendonly: 'yes', appendfsync: 'everysec' })
    const store = open(server)
    const locks = createLocks({ store, duration: 10_000 })
    const lock = await locks.acquire('job')
    await store.transaction(lock, (tx) => tx.call('SET', '{storelock} x', '1'))
    const admin = new Redis(server.url)
    opened.push({ close: () => admin.disconnect() })
    expect(await admin.info('commandstats')).toMatch(/cmdstat_waitaof:calls=[1-9]/)
    await server.kill()
    await server.start()
    expect((await open(server, {}).read('job'))?.token).toBe(lock.token)
    await locks.close()
  })

  test('reports a missing append-only file, and changes nothing', async () => {
    const server = await start({})
    await expect(open(server).apply([{ type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }])).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining('set appendonly to yes'),
    })
    const admin = new Redis(server.url)
    opened.push({ close: () => admin.disconnect() })
    expect(await admin.dbsize()).toBe(0)
  })
})
