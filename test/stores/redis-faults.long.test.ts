import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { createClient, RESP_TYPES } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createLocks, type HeldLock, LockError, type Locks } from '../../src/index.ts'
import type { Command } from '../../src/protocol/index.ts'
import { type RedisStore, type RedisStoreOptions, redisFence, redisStore } from '../../src/stores/redis.ts'
import { outcome } from '../../src/testing/expect.ts'
import { beat, line, release, request } from '../../src/testing/facts/play.ts'
import { startProxy } from '../servers/proxy.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'

let server: RedisServer
let admin: Redis

/** Everything that a test has opened, for the clean-up. */
const opened: { close?(): unknown; remove?(): Promise<void> }[] = []

const open = (options?: RedisStoreOptions, target: Parameters<typeof redisStore>[0] = server.url): RedisStore => {
  const store = redisStore(target, options)
  opened.push(store)
  return store
}

const start = async (settings: Record<string, string>): Promise<RedisServer> => {
  const own = await startRedis(settings)
  opened.unshift(own)
  return own
}

const locksOn = (store: RedisStore, duration = 2_000): Locks => {
  const locks = createLocks({ store, duration })
  opened.push(locks)
  return locks
}

const connect = (url: string): Redis => {
  const client = new Redis(url)
  client.on('error', () => {})
  opened.push({ close: () => client.disconnect() })
  return client
}

const errorOf = (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => expect.fail('it resolved'),
    (error) => error as LockError,
  )

beforeAll(async () => {
  server = await startRedis({ 'repl-diskless-sync-delay': '0' })
  admin = new Redis(server.url)
})
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each.close?.()
    await each.remove?.()
  }
  await admin.flushall()
})
afterAll(async () => {
  admin.disconnect()
  await server.remove()
})

describe('errors of a Redis store', () => {
  test('name the address at which no server answers', async () => {
    const store = open({}, 'redis://user:secret@127.0.0.1:1')
    const error = await errorOf(store.apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('the Redis at 127.0.0.1:1') })
    expect(error.message).not.toContain('secret')
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test.each([
    ['a URL', (url: string) => url.replace('redis://', 'redis://:wrong-secret@')],
    ['a client of redis', (url: string) => createClient({ url, password: 'wrong-secret' })],
    ['a client of ioredis', (url: string) => new Redis(url, { password: 'wrong-secret', lazyConnect: true })],
  ])('report a wrong password without showing it, by %s', async (_, targetOf) => {
    const own = await start({ requirepass: 'right' })
    const store = open({}, targetOf(own.url))
    const error = await errorOf(store.apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringMatching(/127\.0\.0\.1:\d+.*WRONGPASS/) })
    // Printing the whole error does not show it, either.
    expect(inspect(error, { depth: 10 })).not.toContain('secret')
    expect(error.cause).toBeInstanceOf(Error)
  })

  test('report a read-only replica', async () => {
    const replica = await start({ replicaof: `127.0.0.1 ${server.port}` })
    const error = await errorOf(open({}, replica.url).apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('READONLY'), cause: expect.any(Error) })
  })

  test('report a foreign script that keeps the server busy, and stop when the script is killed', async () => {
    const own = await start({ 'busy-reply-threshold': '10' })
    const [other, killer] = [connect(own.url), connect(own.url)]
    const store = open({}, own.url)
    await store.apply([beat('a')])
    const endless = other.eval('while true do end', 0).catch((error: Error) => error.message)
    const error = await vi.waitFor(async () => {
      const error = await errorOf(store.apply([beat('a')]))
      expect(error.message).toContain('BUSY')
      return error
    })
    expect(error).toMatchObject({ code: 'store', cause: expect.any(Error) })
    await killer.script('KILL')
    expect(await endless).toContain('killed')
    outcome((await store.apply([beat('a')]))[0], 'beaten')
  })

  test('report a server that may evict keys by itself', async () => {
    const own = await start({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' })
    const error = await errorOf(open({}, own.url).apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('maxmemory-policy allkeys-lru') })
    await connect(own.url).config('SET', 'maxmemory-policy', 'noeviction')
    outcome((await open({}, own.url).apply([beat('a')]))[0], 'beaten')
  })

  test('report a full memory, and the record is unchanged', async () => {
    const own = await start({ maxmemory: '1mb', 'maxmemory-policy': 'noeviction' })
    const error = await errorOf(open({}, own.url).apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('OOM') })
    expect(await connect(own.url).dbsize()).toBe(0)
  })

  test('refuse anything but a URL or a client', () => {
    for (const target of ['127.0.0.1:6379', 'http://127.0.0.1', '', undefined, {}]) expect(() => redisStore(target as string)).toThrow(TypeError)
    expect(() => redisStore(server.url, { timeout: 0 })).toThrow(RangeError)
    expect(() => redisStore(server.url, { prefix: '{a}' })).toThrow(TypeError)
  })
})

describe('a Redis store', () => {
  test('takes two round trips of scripts for an acquire and a release', async () => {
    const store = open()
    await line(store, 'a')
    await store.apply([release('a', (await store.read('k'))?.token ?? 0)])
    const calls = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
    const before = await calls()
    const { holder } = outcome((await store.apply([request('a', 2)]))[0], 'granted')
    await store.apply([release('a', holder.token)])
    expect((await calls()) - before).toBe(2)
    await store.apply([beat('a')])
    // A beat takes two: the second one reads rows of other sessions, at the same time.
    expect((await calls()) - before).toBe(4)
  })

  test('keeps all its keys in one slot', async () => {
    await line(open({ prefix: 'app' }), 'a', 'b')
    const keys = await admin.keys('*')
    expect(keys.length).toBeGreaterThan(5)
    expect(keys.filter((key) => !key.startsWith('{app}:'))).toEqual([])
  })

  test.each([
    ['ioredis', () => new Redis(server.url, { keyPrefix: 'app:', stringNumbers: true, lazyConnect: true })],
    ['redis', () => createClient({ url: server.url, keyPrefix: 'app:' })],
    ['redis', () => createClient({ url: server.url, RESP: 2, commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } })],
  ])('uses its own key prefix and types, whatever a client of %s is set to', async (_, targetOf) => {
    const store = open({}, targetOf())
    await store.apply([{ ...beat('gone'), lease: 1 } as Command])
    await vi.waitFor(async () => {
      const { stale } = outcome((await store.apply([beat('a')]))[0], 'beaten')
      expect(stale.map(({ id }) => id)).toEqual(['gone'])
    })
    const lock = await locksOn(store).acquire('job')
    expect((await store.transaction(lock, (tx) => tx.call('INCR', '{storelock} n'))).value).toBe(1)
    expect((await admin.keys('*')).filter((key) => !key.startsWith('{storelock}'))).toEqual([])
  })

  test('works while the server forgets its scripts', async () => {
    const locks = locksOn(open())
    let over = false
    const flushing = (async () => {
      while (!over) await admin.script('FLUSH')
    })()
    let last = 0
    for (let turn = 0; turn < 200; turn++) {
      const lock = await locks.acquire('job')
      expect(lock.token).toBeGreaterThan(last)
      last = lock.token
      await lock.release()
    }
    over = true
    await flushing
  })

  test.each([
    ['redis', () => server.url],
    ['ioredis', () => new Redis(server.url, { lazyConnect: true, retryStrategy: () => 5 })],
  ])('loses no lock and no write when its connections of %s are cut again and again', async (_, targetOf) => {
    const store = open({}, targetOf())
    const locks = locksOn(store)
    let over = false
    const cutting = (async () => {
      while (!over) {
        await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    let written = 0
    let unknown = 0
    for (const until = Date.now() + 3_000; Date.now() < until; ) {
      const lock = await locks.acquire('job').catch(() => undefined)
      if (!lock) continue
      await store
        .transaction(lock, (tx) => tx.call('INCR', '{storelock} count'))
        .then(
          () => written++,
          () => unknown++,
        )
      await lock.release()
    }
    over = true
    await cutting
    const count = Number(await admin.get('{storelock} count'))
    expect(count).toBeGreaterThanOrEqual(written)
    expect(count).toBeLessThanOrEqual(written + unknown)
    expect(written).toBeGreaterThan(10)
    await vi.waitFor(async () => expect((await store.read('job'))?.holders).toEqual([]))
  })

  test.each<[string, () => Parameters<typeof redisStore>[0]]>([
    ['redis', () => server.url],
    ['ioredis', () => new Redis(server.url, { lazyConnect: true, retryStrategy: () => 5 })],
  ])('says by an empty message that it hears a topic, again after its connection of %s was cut', async (_, targetOf) => {
    const heard = vi.fn()
    open({}, targetOf()).channel.subscribe('topic', heard)
    for (let cut = 0; cut < 3; cut++) {
      await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}), 5_000)
      heard.mockClear()
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
  })

  test('keeps and renews a lock while its connection is cut again and again', async () => {
    const lock = await locksOn(open(), 1_000).acquire('job')
    const lost = vi.fn()
    lock.signal.addEventListener('abort', lost)
    for (const until = Date.now() + 2_500; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 50))) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      expect(lock.isHeld()).toBe(true)
    }
    expect(lost).not.toHaveBeenCalled()
  })

  test('keeps a lock through a time without answers that is shorter than the lease', async () => {
    const proxy = await startProxy(server.port)
    opened.push(proxy)
    const store = open({ timeout: 500 }, `redis://127.0.0.1:${proxy.port}`)
    const lock = await locksOn(store, 3_000).acquire('job')
    proxy.silent = true
    await expect(store.read('job')).rejects.toMatchObject({ code: 'store', cause: { name: 'TimeoutError' } })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(lock.isHeld()).toBe(true)
    // The connections that were silent have been given up.
    proxy.silent = false
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    expect(lock.isHeld()).toBe(true)
    await lock.release()
  })

  test('keeps a lock through a restart of a server that has kept its records', async () => {
    const own = await start({ appendonly: 'yes', appendfsync: 'always' })
    const store = open({}, own.url)
    const lock = await locksOn(store, 3_000).acquire('job')
    await own.kill()
    await expect(store.read('job')).rejects.toMatchObject({ code: 'store' })
    expect(lock.isHeld()).toBe(true)
    await own.start()
    await vi.waitFor(async () => expect((await store.read('job'))?.token).toBe(lock.token), 2_000)
    // Longer than the lock would be held without a renewal.
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    expect(lock.isHeld()).toBe(true)
    await store.transaction(lock, (tx) => tx.call('SET', '{storelock} x', 1))
  })

  test('waits for a server that is loading its data', async () => {
    const own = await start({ appendonly: 'yes', 'key-load-delay': '400', 'loading-process-events-interval-bytes': '1024' })
    const [store, other] = [open({}, own.url), connect(own.url)]
    await store.apply([beat('a')])
    const fill = other.pipeline()
    for (let key = 0; key < 5_000; key++) fill.set(`key ${key}`, 'x'.repeat(100))
    await fill.exec()
    await own.stop()
    const started = own.start()
    // Waits until the server listens and is loading.
    const probe = new Redis(own.url, { enableReadyCheck: false, retryStrategy: () => 10 })
    probe.on('error', () => {})
    opened.push({ close: () => probe.disconnect() })
    await vi.waitFor(async () => expect((await probe.get('x').catch((error: Error) => error.message)) ?? '').toContain('LOADING'), 5_000)
    outcome((await store.apply([beat('a')]))[0], 'beaten')
    await started
  })

  test('loses a lock at the next beat after a restart of a server that has lost its records', async () => {
    const own = await start({})
    const store = open({}, own.url)
    const lock = await locksOn(store, 10_000).acquire('job')
    await own.kill()
    await own.start()
    await vi.waitFor(() => expect(lock.isHeld()).toBe(false), 3_000)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
    await expect(store.transaction(lock, () => {})).rejects.toMatchObject({ code: 'lost' })
  })

  test('loses a lock at its deadline, not earlier, when its server stays away', async () => {
    const own = await start({})
    const lock = await locksOn(open({}, own.url), 1_000).acquire('job')
    const from = Date.now()
    await own.kill()
    const at = await new Promise<number>((resolve) => lock.signal.addEventListener('abort', () => resolve(Date.now())))
    expect(at - from).toBeGreaterThan(800)
    expect(at - from).toBeLessThan(1_200)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('loses a lock that was lost in a failover as soon as it is connected to the new server', async () => {
    const [first, second] = [await start({ 'repl-diskless-sync-delay': '0' }), await start({})]
    const replica = connect(second.url)
    await replica.replicaof('127.0.0.1', first.port)
    await vi.waitFor(async () => expect(await replica.info('replication')).toContain('master_link_status:up'), 5_000)
    // The proxy stands for a host name that leads to the present master.
    const proxy = await startProxy(first.port)
    opened.push(proxy)
    const store = open({}, `redis://127.0.0.1:${proxy.port}`)
    const locks = locksOn(store, 10_000)
    const early = await locks.acquire('early')
    expect(await connect(first.url).call('WAIT', '1', '1000')).toBe(1)
    // From now on the replica receives no changes.
    await replica.replicaof('127.0.0.1', 1)
    const late = await locks.acquire('late')
    await first.kill()
    await replica.replicaof('NO', 'ONE')
    proxy.target = second.port
    const other = await locksOn(open({}, second.url), 10_000).acquire('late', { timeout: 2_000 })
    expect(other.token).toBeGreaterThan(late.token)
    await vi.waitFor(() => expect(late.isHeld()).toBe(false), 3_000)
    expect(early.isHeld()).toBe(true)
  })

  test('loses a lock that the server has lost by itself at the next beat, and keeps the others', async () => {
    const store = open()
    const locks = locksOn(store, 10_000)
    const early = await locks.acquire('early')
    const keys = await admin.keys('*')
    const dumped = await Promise.all(keys.map((key) => admin.dumpBuffer(key)))
    const late = await locks.acquire('late')
    await admin.flushall()
    // Like a failover inside a cluster, which clients do not notice.
    await Promise.all(keys.map((key, index) => admin.restore(key, 0, dumped[index] as Buffer)))
    await vi.waitFor(() => expect(late.isHeld()).toBe(false), 3_000)
    expect(late.signal.reason).toMatchObject({ code: 'lost' })
    expect(early.isHeld()).toBe(true)
  })

  test('does not carry out a command later that it has given up', async () => {
    const own = await start({})
    const store = open({ timeout: 2_000 }, own.url)
    await store.apply([beat('a')])
    own.signal('SIGSTOP')
    const error = await errorOf(store.apply([request('a')]))
    expect(error).toMatchObject({ code: 'store', cause: { name: 'TimeoutError' } })
    await new Promise((resolve) => setTimeout(resolve, 300))
    own.signal('SIGCONT')
    // The server first handles the requests that it had received before.
    await vi.waitFor(async () => expect(await store.read('k')).toBeUndefined())
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await store.read('k')).toBeUndefined()
  })

  test('works on after the server’s clock was set', async () => {
    const store = open()
    await store.apply([beat('a')])
    const { now } = performance
    // To the store, its own clock seems to have gone back by an hour.
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) - 3_600_000)
    await store.apply([beat('a')]).catch(() => {})
    outcome((await store.apply([beat('a')]))[0], 'beaten')
    vi.restoreAllMocks()
  })

  test('waits for replicas if configured, and reports if they do not confirm a change in time', async () => {
    const store = open({ durability: { replicas: 1, within: 100 } })
    const error = await errorOf(store.apply([beat('a')]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('only 0 of 1 replicas') })
    await start({ replicaof: `127.0.0.1 ${server.port}` })
    await vi.waitFor(async () => outcome((await store.apply([beat('a')]))[0], 'beaten'), 5_000)
    expect(() => open({ durability: { replicas: 1 } }, new Redis.Cluster([server.url], { lazyConnect: true }))).toThrow(TypeError)
  })

  test('reports a server that cannot wait for the disk, and changes nothing', async () => {
    const error = await errorOf(open({ durability: { disk: true } }).apply([beat('a')]))
    const [known] = (await admin.call('COMMAND', 'INFO', 'WAITAOF')) as unknown[]
    const reason = known ? 'set appendonly to yes' : 'WAITAOF, which Redis 7.2 and Valkey have'
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining(reason) })
    expect(await admin.dbsize()).toBe(0)
  })

  test('stores records of a megabyte', async () => {
    const store = open()
    const metadata = { text: 'ü"\n'.repeat(250_000) }
    const lock = await locksOn(store).acquire('big', { metadata })
    expect((await store.read('big'))?.holders[0]?.metadata).toEqual(metadata)
    await store.transaction(lock, (tx) => tx.call('SET', '{storelock} x', 'y'.repeat(1_000_000)))
    await lock.release()
  })

  test('reports that hints are missing while its subscriptions are lost, and when they are back', async () => {
    const own = await start({})
    const store = open({}, own.url)
    const said: (string | undefined)[] = []
    store.onDegraded?.((why) => said.push(why))
    const heard = vi.fn()
    store.channel.subscribe('topic', heard)
    const other = open({}, own.url)
    await vi.waitFor(() => {
      other.channel.publish('topic', { key: 'k' })
      expect(heard).toHaveBeenCalled()
    })
    await own.kill()
    await vi.waitFor(() => expect(said.at(-1)).toContain('no hints'))
    await own.start()
    await vi.waitFor(() => expect(said.at(-1)).toBeUndefined(), 5_000)
    heard.mockClear()
    await vi.waitFor(() => {
      other.channel.publish('topic', { key: 'k' })
      expect(heard).toHaveBeenCalled()
    }, 5_000)
  })

  test('ignores anything but messages on its channels', async () => {
    const store = open()
    const heard = vi.fn()
    store.channel.subscribe('topic', heard)
    await vi.waitFor(async () => expect(await admin.publish('{storelock}:hint:topic', 'nonsense')).toBe(1))
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}))
    for (const text of ['[]', '["x"]', '["x",[]]', '{"a":1}', 'null', '["x",{"a":{}}]']) await admin.publish('{storelock}:hint:topic', text)
    await admin.publish('{storelock}:hint:topic', '["x",{"key":"k"}]')
    await vi.waitFor(() => expect(heard.mock.calls.filter(([message]) => Object.keys(message).length)).toEqual([[{ key: 'k' }]]))
  })
})

describe('a fenced transaction in Redis', () => {
  const held = async (): Promise<{ store: RedisStore; lock: HeldLock; locks: Locks }> => {
    const store = open()
    const locks = locksOn(store, 10_000)
    return { store, locks, lock: await locks.acquire('job') }
  }

  test('gives its replies once it is committed', async () => {
    const { store, lock } = await held()
    const [count, text, list, nothing] = await store.transaction(lock, (tx) => {
      const count = tx.call<number>('INCRBY', '{storelock} n', 7)
      expect(() => count.value).toThrow(LockError)
      tx.call('SET', '{storelock} t', Buffer.from([0xc3, 0xbc]))
      tx.call('RPUSH', '{storelock} l', 'a', 'b')
      return [count, tx.call('GET', '{storelock} t'), tx.call('LRANGE', '{storelock} l', 0, -1), tx.call('GET', '{storelock} none')] as const
    })
    expect([count.value, text.value, list.value, nothing.value]).toEqual([7, 'ü', ['a', 'b'], null])
  })

  test('accepts no more commands once it was sent', async () => {
    const { store, lock } = await held()
    const tx = await store.transaction(lock, (tx) => tx)
    expect(() => tx.call('SET', 'x', 1)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test('reports which command Redis has refused, and how many were carried out', async () => {
    const { store, lock } = await held()
    const error = await errorOf(
      store.transaction(lock, (tx) => {
        tx.call('SET', '{storelock} t', 'text')
        tx.call('INCR', '{storelock} t')
        tx.call('SET', '{storelock} u', 'more')
      }),
    )
    expect(error).toMatchObject({ code: 'store', message: expect.stringMatching(/refused INCR: .*not an integer.*\(1\) was carried out/) })
    expect(await admin.mget('{storelock} t', '{storelock} u')).toEqual(['text', null])
  })

  test('may depend on several locks', async () => {
    const { store, lock, locks } = await held()
    const other = await locks.acquire('other')
    const write = (value: number) =>
      store.transaction(lock, (tx) => {
        store.check(tx, other)
        tx.call('SET', '{storelock} x', value)
      })
    await write(1)
    await store.apply([{ type: 'revoke', key: 'other' }])
    await expect(write(2)).rejects.toMatchObject({ code: 'lost' })
    expect(await admin.get('{storelock} x')).toBe('1')
  })

  test('may be the user’s own script', async () => {
    const { store, lock } = await held()
    const script = `${redisFence}
      local lost = storelock_lost(KEYS[1], ARGV[1], ARGV[2])
      if lost then return lost end
      return redis.call('INCR', KEYS[2])`
    const { keys, args } = store.fence(lock)
    expect(await admin.eval(script, 2, ...keys, '{storelock} n', ...args)).toBe(1)
    await store.apply([{ type: 'revoke', key: 'job' }])
    await expect(admin.eval(script, 2, ...keys, '{storelock} n', ...args)).rejects.toThrow('LOST')
    expect(await admin.get('{storelock} n')).toBe('1')
    await lock.release()
    expect(() => store.fence(lock)).toThrow(expect.objectContaining({ code: 'not-held' }))
  })

  test('may be a MULTI that watches the fence, which waiters and beats do not change', async () => {
    const { store, lock, locks } = await held()
    const [key] = store.fence(lock).keys
    await admin.watch(key)
    const stop = new AbortController()
    const waiting = locksOn(open()).acquire('job', { signal: stop.signal })
    await vi.waitFor(async () => expect((await store.read('job'))?.queue.length).toBe(1))
    await store.apply([{ type: 'beat', session: lock.session, client: 'c', lease: 1_000 }])
    expect(await admin.multi().set('x', 1).exec()).toEqual([[null, 'OK']])
    await admin.watch(key)
    await lock.release()
    await (await waiting).release()
    expect(await admin.multi().set('x', 2).exec()).toBeNull()
    expect(locks).toBeDefined()
  })

  test('loses no update of 64 concurrent writers', { timeout: 60_000 }, async () => {
    const stores = Array.from({ length: 8 }, () => open())
    const turns = 4
    const writers = Array.from({ length: 64 }, async (_, index) => {
      const store = stores[index % stores.length] as RedisStore
      const locks = locksOn(store, 10_000)
      const reader = store
      for (let turn = 0; turn < turns; turn++) {
        await locks.request('counter', async (lock) => {
          const held = lock as unknown as HeldLock
          const seen = await reader.transaction(held, (tx) => tx.call<string | null>('GET', '{storelock} counter'))
          await store.transaction(held, (tx) => tx.call('SET', '{storelock} counter', Number(seen.value ?? 0) + 1))
        })
      }
    })
    await Promise.all(writers)
    expect(await admin.get('{storelock} counter')).toBe(String(64 * turns))
  })
})
