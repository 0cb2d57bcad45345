import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { decode, encode } from '../../src/channels/etcd/form.ts'
import { createLocks, type HeldLock, type LockError, type Locks } from '../../src/index.ts'
import { type EtcdStore, type EtcdStoreOptions, etcdStore } from '../../src/stores/etcd.ts'
import { outcome } from '../../src/testing/expect.ts'
import { beat, line, release, request } from '../../src/testing/facts/play.ts'
import { type EtcdServer, startEtcd, startEtcds } from '../servers/etcd.ts'
import { startProxy } from '../servers/proxy.ts'

let server: EtcdServer
let admin: EtcdClient
let places = 0
let prefix = ''

/** Everything that a test has opened, for the clean-up. */
const opened: { close?(): unknown; remove?(): Promise<void> }[] = []

const open = (options?: EtcdStoreOptions, members: string | readonly string[] = server.url): EtcdStore => {
  const store = etcdStore(members, { prefix, ...options })
  opened.push(store)
  return store
}

const locksOn = (store: EtcdStore, duration = 2_000): Locks => {
  const locks = createLocks({ store, duration })
  opened.push(locks)
  return locks
}

const get = async (key: string): Promise<string | undefined> => {
  const { kvs: [found] = [] } = await admin.call<{ kvs?: { value: string }[] }>('kv/range', { key: encode(key) })
  return found && decode(found.value)
}

const compact = async (): Promise<void> => {
  const { header } = await admin.call<{ header: { revision: string } }>('kv/put', { key: encode('last'), value: '' })
  await admin.call('kv/compaction', { revision: header.revision, physical: true })
}

const errorOf = (promise: Promise<unknown>): Promise<LockError> =>
  promise.then(
    () => expect.fail('it resolved'),
    (error) => error as LockError,
  )

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  server = await startEtcd()
  admin = new EtcdClient([server.url], {})
})
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    await each.close?.()
    await each.remove?.()
  }
  prefix = `place ${++places}`
})
afterAll(async () => {
  admin.close()
  await server.remove()
})

describe('errors of an etcd store', () => {
  test('name the address at which no server answers', async () => {
    const error = await errorOf(open({}, ['http://127.0.0.1:4', 'http://127.0.0.1:5']).apply([beat('a')]))
    expect(error).toMatchObject({
      code: 'store',
      message: expect.stringMatching(/the etcd at http:\/\/127\.0\.0\.1:4, http:\/\/127\.0\.0\.1:5: .*ECONNREFUSED/),
    })
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('report a wrong or missing password, without showing it', async () => {
    const own = await startEtcd()
    opened.push(own)
    const client = new EtcdClient([own.url], {})
    opened.push(client)
    await client.call('auth/user/add', { name: 'root', password: 'right' })
    await client.call('auth/role/add', { name: 'root' })
    await client.call('auth/user/grant', { user: 'root', role: 'root' })
    await client.call('auth/enable', {})
    const wrong = await errorOf(open({ username: 'root', password: 'wrong-secret' }, own.url).apply([beat('a')]))
    expect(wrong).toMatchObject({ code: 'store', message: expect.stringContaining('authentication failed') })
    expect(wrong.message).not.toContain('secret')
    expect(await errorOf(open({}, own.url).apply([beat('a')]))).toMatchObject({
      code: 'store',
      message: expect.stringContaining('user name is empty'),
    })
    const store = open({ username: 'root', password: 'right' }, own.url)
    outcome((await store.apply([beat('a')]))[0], 'beaten')
    // A restarted server no longer knows its earlier tokens.
    await own.kill()
    await own.start()
    await vi.waitFor(async () => outcome((await store.apply([beat('a')]))[0], 'beaten'), 5_000)
  })

  test('report a full database', async () => {
    const own = await startEtcd('--quota-backend-bytes', '1048576')
    opened.push(own)
    const store = open({}, own.url)
    await store.apply([beat('a')])
    const other = new EtcdClient([own.url], {})
    opened.push(other)
    const full = async () => {
      for (;;) await other.call('kv/put', { key: encode('x'), value: encode('x'.repeat(500_000)) })
    }
    await expect(full()).rejects.toThrow('space exceeded')
    expect(await errorOf(store.apply([beat('a')]))).toMatchObject({ code: 'store', message: expect.stringContaining('space exceeded') })
  })

  test('report a record that is too large, and leave the store usable', async () => {
    const store = open()
    await store.apply([beat('a')])
    const error = await errorOf(store.apply([request('a', 1, { metadata: 'x'.repeat(2_000_000) })]))
    expect(error).toMatchObject({ code: 'store', message: expect.stringContaining('too large') })
    outcome((await store.apply([request('a', 2, { metadata: 'x'.repeat(1_000_000) })]))[0], 'granted')
  })

  test('refuse anything but URLs of members', () => {
    for (const members of ['127.0.0.1:2379', 'etcd://127.0.0.1', '', [], 'http://root:secret@127.0.0.1:2379'])
      expect(() => etcdStore(members)).toThrow(expect.objectContaining({ name: 'TypeError', message: expect.not.stringContaining('secret') }))
    expect(() => etcdStore(server.url, { timeout: 0 })).toThrow(RangeError)
  })
})

describe('an etcd store', () => {
  test('takes two transactions for an acquire and a release', async () => {
    const calls: string[] = []
    const counting: typeof fetch = (input, init) => {
      calls.push(String(input).replace(/.*\/v3\//, ''))
      return fetch(input, init)
    }
    const store = open({ fetch: counting })
    const token = await line(store, 'a')
    await store.apply([release('a', token)])
    calls.length = 0
    const { holder } = outcome((await store.apply([request('a', 2)]))[0], 'granted')
    await store.apply([release('a', holder.token)])
    expect(calls).toEqual(['kv/txn', 'kv/txn'])
    await store.apply([beat('a')])
    expect(calls.filter((call) => call === 'kv/txn')).toHaveLength(3)
  })

  test('wakes the next waiter by the transaction that grants it the lock', async () => {
    const [one, other] = [locksOn(open(), 10_000), locksOn(open(), 10_000)]
    const waits: number[] = []
    for (let turn = 0; turn < 10; turn++) {
      const lock = await one.acquire('job')
      const waiting = other.acquire('job')
      await vi.waitFor(async () => expect((await one.query()).pending).toHaveLength(1))
      await pause(60)
      const from = performance.now()
      const released = lock.release()
      const next = await waiting
      waits.push(performance.now() - from)
      await released
      await next.release()
    }
    expect(waits.sort((a, b) => a - b)[5]).toBeLessThan(100)
  })

  test('still gets hints after a restart and a compaction', async () => {
    const own = await startEtcd()
    opened.push(own)
    const [store, other] = [open({}, own.url), open({}, own.url)]
    const said: (string | undefined)[] = []
    store.onDegraded?.((why) => said.push(why))
    const heard = vi.fn()
    store.channel.subscribe('topic', heard)
    const isHeard = async () => {
      heard.mockClear()
      await vi.waitFor(() => {
        other.channel.publish('topic', { key: 'k' })
        expect(heard).toHaveBeenCalledWith({ key: 'k' })
      }, 5_000)
    }
    await isHeard()
    const client = new EtcdClient([own.url], {})
    opened.push(client)
    const compactAll = async () => {
      const { header } = await client.call<{ header: { revision: string } }>('kv/put', { key: encode('last'), value: '' })
      await client.call('kv/compaction', { revision: header.revision, physical: true })
    }
    await compactAll()
    await isHeard()
    await own.kill()
    await vi.waitFor(() => expect(said.at(-1)).toContain('no hints'))
    heard.mockClear()
    await own.start()
    // Says that messages may have been missed.
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}), 10_000)
    // Compacts the revision at which the watch would continue.
    for (let turn = 0; turn < 5; turn++) other.channel.publish('topic', { key: 'meanwhile' })
    await compactAll()
    await isHeard()
    expect(said.at(-1)).toBeUndefined()
  })

  test('works while compactions happen', async () => {
    const store = open()
    const locks = locksOn(store)
    let over = false
    const compacting = (async () => {
      while (!over) await compact()
    })()
    let last = 0
    for (let turn = 0; turn < 50; turn++) {
      const lock = await locks.acquire('job')
      expect(lock.token).toBeGreaterThan(last)
      last = lock.token
      await store.read('job')
      await store.list()
      await store.transaction(lock, (tx) => tx.put(`${prefix} x`, String(turn)))
      await lock.release()
    }
    over = true
    await compacting
  })

  test('loses no lock and no write when its connections are cut again and again', async () => {
    const proxy = await startProxy(Number(new URL(server.url).port))
    opened.push(proxy)
    const store = open({}, `http://127.0.0.1:${proxy.port}`)
    const locks = locksOn(store)
    let over = false
    const cutting = (async () => {
      for (; !over; await pause(40)) proxy.cut()
    })()
    let written = 0
    let unknown = 0
    for (const until = Date.now() + 3_000; Date.now() < until; ) {
      const lock = await locks.acquire('job').catch(() => undefined)
      if (!lock) continue
      await store
        .transaction(lock, async (tx) => {
          tx.put(`${prefix} count`, String(Number((await get(`${prefix} count`)) ?? 0) + 1))
        })
        .then(
          () => written++,
          () => unknown++,
        )
      await lock.release()
    }
    over = true
    await cutting
    const count = Number(await get(`${prefix} count`))
    expect(count).toBeGreaterThanOrEqual(written)
    expect(count).toBeLessThanOrEqual(written + unknown)
    expect(written).toBeGreaterThan(10)
    await vi.waitFor(async () => expect((await store.read('job'))?.holders).toEqual([]), 5_000)
  })

  test('keeps a lock through a crash and restart of its server', async () => {
    const own = await startEtcd()
    opened.push(own)
    const store = open({}, own.url)
    const lock = await locksOn(store, 4_000).acquire('job')
    await own.kill()
    await expect(store.read('job')).rejects.toMatchObject({ code: 'store' })
    expect(lock.isHeld()).toBe(true)
    await own.start()
    await vi.waitFor(async () => expect((await store.read('job'))?.token).toBe(lock.token), 5_000)
    await pause(4_500)
    expect(lock.isHeld()).toBe(true)
    await store.transaction(lock, (tx) => tx.put(`${prefix} x`, '1'))
  })

  test('loses a lock at its deadline, not earlier, when its server stays away', async () => {
    const own = await startEtcd()
    opened.push(own)
    const lock = await locksOn(open({}, own.url), 1_000).acquire('job')
    const from = Date.now()
    await own.kill()
    const at = await new Promise<number>((resolve) => lock.signal.addEventListener('abort', () => resolve(Date.now())))
    expect(at - from).toBeGreaterThan(800)
    expect(at - from).toBeLessThan(1_200)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('keeps a lock when the leader of its cluster is killed, and goes on with the other members', { timeout: 60_000 }, async () => {
    const members = await startEtcds(3)
    opened.push(...members)
    const urls = members.map(({ url }) => url)
    const store = open({}, urls)
    const lock = await locksOn(store, 8_000).acquire('job')
    const statuses = await Promise.all(
      urls.map(async (url) => {
        const client = new EtcdClient([url], {})
        const { header, leader } = await client.call<{ header: { member_id: string }; leader: string }>('maintenance/status', {})
        client.close()
        return header.member_id === leader
      }),
    )
    const leader = members[statuses.indexOf(true)] as EtcdServer
    await leader.kill()
    await vi.waitFor(async () => expect((await store.read('job'))?.token).toBe(lock.token), 8_000)
    await pause(9_000)
    expect(lock.isHeld()).toBe(true)
    await store.transaction(lock, (tx) => tx.put(`${prefix} x`, '1'))
    // Without a majority there is no leader.
    const rest = members.filter((member) => member !== leader)
    await rest[0]?.kill()
    const error = await vi.waitFor(async () => {
      const error = await errorOf(store.apply([beat('b')]))
      expect(error.message).toContain('no leader')
      return error
    }, 10_000)
    expect(error).toMatchObject({ code: 'store', cause: { name: 'EtcdError' } })
  })
})

describe('a fenced transaction in etcd', () => {
  const held = async (): Promise<{ store: EtcdStore; lock: HeldLock; locks: Locks }> => {
    const store = open()
    const locks = locksOn(store, 10_000)
    return { store, locks, lock: await locks.acquire('job') }
  }

  test('gives the values that it has read once it is committed', async () => {
    const { store, lock } = await held()
    await store.transaction(lock, (tx) => tx.put(`${prefix} x`, Buffer.from([0xc3, 0xbc])))
    const [before, none] = await store.transaction(lock, (tx) => {
      const read = tx.get(`${prefix} x`)
      expect(() => read.value).toThrow(expect.objectContaining({ code: 'invalid' }))
      tx.delete(`${prefix} x`)
      return [read, tx.get(`${prefix} x`)] as const
    })
    expect([before.value, none.value]).toEqual(['ü', undefined])
    expect(await get(`${prefix} x`)).toBeUndefined()
  })

  test('accepts no more operations once it was sent', async () => {
    const { store, lock } = await held()
    const tx = await store.transaction(lock, (tx) => tx)
    expect(() => tx.put('x', '1')).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test('may depend on several locks', async () => {
    const { store, lock, locks } = await held()
    const other = await locks.acquire('other')
    const write = (value: string) =>
      store.transaction(lock, (tx) => {
        store.check(tx, other)
        tx.put(`${prefix} x`, value)
      })
    await write('1')
    await store.apply([{ type: 'revoke', key: 'other' }])
    await expect(write('2')).rejects.toMatchObject({ code: 'lost' })
    expect(await get(`${prefix} x`)).toBe('1')
  })

  test('works for one of several holders while others come and go', async () => {
    const { store, locks } = await held()
    const one = await locks.acquire('shared', { mode: 'shared' })
    await store.transaction(one, (tx) => tx.put(`${prefix} x`, '1'))
    const other = await locksOn(open(), 10_000).acquire('shared', { mode: 'shared' })
    await store.transaction(one, (tx) => tx.put(`${prefix} x`, '2'))
    await other.release()
    await store.transaction(one, (tx) => tx.put(`${prefix} x`, '3'))
    expect(await get(`${prefix} x`)).toBe('3')
  })

  test('may be made by another client, and waiters and beats do not disturb it', async () => {
    const { store, lock } = await held()
    const { key, revision } = await store.compare(lock)
    const write = async (): Promise<boolean> => {
      const compare = [{ key: encode(key), target: 'MOD', result: 'EQUAL', mod_revision: revision }]
      const success = [{ request_put: { key: encode(`${prefix} x`), value: encode('1') } }]
      return (await admin.call<{ succeeded?: boolean }>('kv/txn', { compare, success })).succeeded === true
    }
    const waiting = locksOn(open(), 10_000).acquire('job')
    await vi.waitFor(async () => expect((await store.read('job'))?.queue.length).toBe(1))
    await store.apply([{ type: 'beat', session: lock.session, client: 'c', lease: 1_000 }])
    expect(await write()).toBe(true)
    await lock.release()
    await waiting
    expect(await write()).toBe(false)
    await expect(store.compare(lock)).rejects.toMatchObject({ code: 'not-held' })
  })

  test('loses no update of 64 concurrent writers', { timeout: 60_000 }, async () => {
    const stores = Array.from({ length: 8 }, () => open())
    const writers = Array.from({ length: 64 }, async (_, index) => {
      const store = stores[index % stores.length] as EtcdStore
      await locksOn(store, 20_000).request('counter', async (lock) => {
        const held = lock as unknown as HeldLock
        const seen = await store.transaction(held, (tx) => tx.get(`${prefix} counter`))
        await store.transaction(held, (tx) => tx.put(`${prefix} counter`, String(Number(seen.value ?? 0) + 1)))
      })
    })
    await Promise.all(writers)
    expect(await get(`${prefix} counter`)).toBe('64')
  })
})
