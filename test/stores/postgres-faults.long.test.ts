import { once } from 'node:events'
import { createServer } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createLocks, type LockError } from '../../src/index.ts'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import { postgresSchema, postgresStore } from '../../src/stores/postgres.ts'
import { lease } from '../protocol/shelf.ts'
import { type PostgresServer, startPgBouncer, startPostgres } from '../servers/postgres.ts'
import { newSchema } from './postgres-place.ts'

let server: PostgresServer
let admin: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  admin = new pg.Pool({ connectionString: server.url, max: 2 })
  admin.on('error', () => {})
})
afterAll(async () => {
  await admin.end()
  await server.remove()
})

const beat = (session: string): Command => ({ type: 'beat', session, client: session, lease, opens: true })
const request = (session: string, number = 1, more = {}): Command => ({
  ...{ type: 'request', key: 'k', session, client: session, number, mode: 'exclusive', confirm: 500 },
  ...more,
})

/** The error of a store's first call. */
const failure = async (store: ReturnType<typeof postgresStore>): Promise<LockError> => {
  const error = await store.apply([beat('a')]).then(
    () => undefined,
    (error) => error,
  )
  await store.close()
  return error
}

const withUser = (user: string): string => server.url.replace('storelock@', `${user}@`)

test('the error of a refused connection names the address without the password', async () => {
  const error = await failure(postgresStore('postgres://me:hidden@127.0.0.1:1/app'))
  expect(error).toMatchObject({ code: 'store', cause: { code: 'ECONNREFUSED' } })
  expect(error.message).toContain('the Postgres database app on 127.0.0.1:1')
  expect(error.message).not.toContain('hidden')
})

test('a wrong password is reported with the server’s error', async () => {
  await admin.query("CREATE ROLE secured LOGIN PASSWORD 'right'")
  await server.allow('host all secured 127.0.0.1/32 scram-sha-256')
  const error = await failure(postgresStore(withUser('secured:hidden')))
  expect(error).toMatchObject({ code: 'store', cause: { code: '28P01' } })
  expect(error.message).toContain('password authentication failed')
  expect(error.message).not.toContain('hidden')
})

test('a missing database is reported with the server’s error', async () => {
  expect(await failure(postgresStore(server.url.replace(/postgres$/, 'nowhere')))).toMatchObject({ code: 'store', cause: { code: '3D000' } })
})

test('refused TLS is reported', async () => {
  expect((await failure(postgresStore(`${server.url}?sslmode=require`))).message).toContain('The server does not support SSL')
})

test('a read-only server is reported with a remedy', async () => {
  const schema = newSchema()
  const store = postgresStore(server.url, { schema })
  await store.apply([beat('a')])
  await store.close()
  const options = encodeURIComponent('-c default_transaction_read_only=on')
  const error = await failure(postgresStore(`${server.url}?options=${options}`, { schema }))
  expect(error).toMatchObject({ code: 'store', cause: { code: '25006' } })
  expect(error.message).toContain('connect to the primary')
})

test('missing rights are reported, and the user can use tables that a migration has made and granted', async () => {
  await admin.query('CREATE ROLE guest LOGIN')
  const schema = newSchema()
  const error = await failure(postgresStore(withUser('guest'), { schema }))
  expect(error).toMatchObject({ code: 'store', cause: { code: '42501' } })
  expect(error.message).toContain('postgresSchema()')
  await admin.query(postgresSchema(schema))
  await admin.query(postgresSchema(schema))
  const quoted = `"${schema.replaceAll('"', '""')}"`
  await admin.query(`GRANT USAGE ON SCHEMA ${quoted} TO guest; GRANT SELECT, INSERT, UPDATE, DELETE ON ${quoted}.lock_rows TO guest`)
  expect(await failure(postgresStore(withUser('guest'), { schema }))).toBeUndefined()
})

test('tables of a newer version are refused', async () => {
  const schema = newSchema()
  await admin.query(postgresSchema(schema))
  await admin.query(`UPDATE "${schema.replaceAll('"', '""')}".lock_rows SET body = '2' WHERE id = 'version'`)
  const error = await failure(postgresStore(server.url, { schema }))
  expect(error).toMatchObject({ code: 'store' })
  expect(error.message).toContain('update storelock')
})

test('stores that open a new schema at the same moment all succeed', async () => {
  const schema = newSchema()
  const stores = Array.from({ length: 6 }, () => postgresStore(server.url, { schema }))
  await Promise.all(stores.map((store, index) => store.apply([beat(`s${index}`)])))
  for (const store of stores) await store.close()
})

test('names of any length and huge records are stored', async () => {
  const store = postgresStore(admin, { schema: newSchema() })
  const noise = (length: number): string => Array.from({ length }, (_, at) => String.fromCharCode(33 + ((at * at * 7919) % 90))).join('')
  const keys = [noise(5_000), `${noise(5_000)}x`, `'"; DROP SCHEMA public; --`, '\\', '{a,"b"}', 'NULL', `ü${noise(2_000)}`]
  const metadata = { text: noise(1_000_000), odd: '\0 \ud800 \\u0000' }
  const outcomes = await store.apply([beat('a'), ...keys.map((key) => request('a', 1, { key, metadata }))])
  expect(outcomes.slice(1).map(({ type }) => type)).toEqual(keys.map(() => 'granted'))
  expect((await store.list()).map(({ key }) => key)).toEqual([...keys].sort())
  expect((await store.read(keys[0] as string))?.holders[0]?.metadata).toEqual(metadata)
  expect((await store.page?.('', undefined, 100))?.length).toBe(keys.length)
  const { token } = (outcomes[1] as Extract<Outcome, { type: 'granted' }>).holder
  const lock = { name: 'k', key: keys[0] as string, session: 'a', token, assertHeld() {} }
  expect(await store.transaction(lock, () => 7)).toBe(7)
  await store.close()
})

test('64 sessions that contend for one lock all get it, one at a time', { timeout: 120_000 }, async () => {
  const schema = newSchema()
  const stores = Array.from({ length: 8 }, () => postgresStore(server.url, { schema }))
  const all = Array.from({ length: 64 }, (_, index) => createLocks({ store: stores[index % 8] as (typeof stores)[number], duration: 60_000 }))
  let holders = 0
  let last = 0
  await Promise.all(
    all.map(async (locks) => {
      for (let turn = 0; turn < 5; turn++) {
        const lock = await locks.acquire('job')
        expect(++holders).toBe(1)
        expect(lock.token).toBeGreaterThan(last)
        last = lock.token
        await new Promise((resolve) => setImmediate(resolve))
        holders--
        await lock.release()
      }
    }),
  )
  for (const locks of all) await locks.close()
  for (const store of stores) await store.close()
})

test('batches that name the same keys in opposite orders end without a deadlock', async () => {
  const schema = newSchema()
  const stores = ['a', 'b', 'c', 'd'].map((session) => ({ session, store: postgresStore(server.url, { schema, notify: false }) }))
  const keys = Array.from({ length: 6 }, (_, index) => `k${index}`)
  await Promise.all(
    stores.map(async ({ session, store }, index) => {
      await store.apply([beat(session)])
      const order = index % 2 ? keys : [...keys].reverse()
      for (let number = 1; number <= 10; number++) {
        await store.apply(order.map((key) => request(session, number, { key })))
        await store.apply(order.map((key): Command => ({ type: 'withdraw', key, session, number })))
      }
    }),
  )
  for (const { store } of stores) await store.close()
  const { rows } = await admin.query('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')
  expect(Number(rows[0].deadlocks)).toBe(0)
})

test('no lock is lost when connections are cut, and hints come back', { timeout: 60_000 }, async () => {
  const schema = newSchema()
  const stores = [1, 2].map(() => postgresStore(server.url, { schema }))
  const told: (string | undefined)[] = []
  stores[0]?.onDegraded?.((why) => told.push(why))
  const [one, two] = stores.map((store) => createLocks({ store, duration: 10_000, maxBackoff: 8_000 })) as [
    ReturnType<typeof createLocks>,
    ReturnType<typeof createLocks>,
  ]
  const lock = await one.acquire('job')
  for (let cut = 0; cut < 5; cut++) {
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'storelock'")
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(lock.isHeld()).toBe(true)
  }
  await lock.renew()
  const waiting = two.acquire('job')
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const start = performance.now()
  await lock.release()
  await (await waiting).release()
  expect(performance.now() - start).toBeLessThan(1_000)
  expect(told.filter((why) => why !== undefined).length).toBe(told.filter((why) => why === undefined).length)
  expect(told[0]).toContain('no hints')
  for (const locks of [one, two]) await locks.close()
  for (const store of stores) await store.close()
})

test('an empty message says that a topic is heard, again after the connection was cut', async () => {
  const store = postgresStore(server.url, { schema: newSchema() })
  const heard = vi.fn()
  store.channel?.subscribe('topic', heard)
  for (let cut = 0; cut < 3; cut++) {
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}), 5_000)
    heard.mockClear()
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'storelock'")
  }
  await store.close()
})

test.each(['stop', 'kill'] as const)(
  'a lock that lasts longer than an outage of the server (%s) is kept, and tokens rise',
  { timeout: 60_000 },
  async (end) => {
    const schema = newSchema()
    const store = postgresStore(server.url, { schema })
    const other = postgresStore(server.url, { schema })
    const [one, two] = [createLocks({ store, duration: 8_000 }), createLocks({ store: other, duration: 8_000 })]
    const lock = await one.acquire('job')
    const waiting = two.acquire('job')
    await expect.poll(async () => (await store.read('job'))?.queue.length).toBe(1)
    const calls = Array.from({ length: 20 }, (_, index) => one.acquire(`other ${index}`).catch((error: LockError) => error.code))
    await server[end]()
    await new Promise((resolve) => setTimeout(resolve, 500))
    await server.start()
    for (const call of await Promise.all(calls)) if (typeof call === 'string') expect(call).toBe('store')
    await lock.renew()
    expect(lock.isHeld()).toBe(true)
    expect(await store.transaction(lock, () => 'written')).toBe('written')
    await lock.release()
    const next = await waiting
    expect(next.token).toBeGreaterThan(lock.token)
    for (const locks of [one, two]) await locks.close()
    for (const each of [store, other]) await each.close()
  },
)

test('behind PgBouncer in transaction mode only hints are missing, with one warning, and a direct address brings them back', {
  timeout: 60_000,
}, async () => {
  const schema = newSchema()
  const pooler = await startPgBouncer(server)
  const told: (string | undefined)[] = []
  const behind = [1, 2].map(() => postgresStore(pooler.url, { schema }))
  behind[0]?.onDegraded?.((why) => told.push(why))
  const past = postgresStore(pooler.url, { schema, direct: server.url })
  const [one, two, three] = [...behind, past].map((store) => createLocks({ store, duration: 10_000, maxBackoff: 200 })) as [
    ReturnType<typeof createLocks>,
    ReturnType<typeof createLocks>,
    ReturnType<typeof createLocks>,
  ]
  for (let turn = 0; turn < 10; turn++) {
    const lock = await one.acquire('job')
    // Either of the two may get the lock first.
    const turns = [two, three].map(async (locks) => (await locks.acquire('job')).release())
    await behind[0]?.transaction(lock, (client) => client.query('SELECT 1'))
    await lock.release()
    await Promise.all(turns)
  }
  expect(told).toEqual([expect.stringContaining('a pooler stands before the database')])
  // A store behind the pooler can send hints to a store that listens past it.
  const heard = vi.fn()
  past.channel?.subscribe('t', heard)
  // Messages arrive from then on.
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}), 5_000)
  behind[0]?.channel?.publish('t', { n: 1 })
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({ n: 1 }), 5_000)
  for (const locks of [one, two, three]) await locks.close()
  for (const store of [...behind, past]) await store.close()
  await pooler.remove()
})

test('a server that does not answer is given up after the timeout', async () => {
  const deaf = createServer(() => {}).listen(0, '127.0.0.1')
  await once(deaf, 'listening')
  const { port } = deaf.address() as { port: number }
  const start = performance.now()
  const error = await failure(postgresStore(`postgres://me@127.0.0.1:${port}/app`, { timeout: 300 }))
  expect(error).toMatchObject({ code: 'store' })
  expect(performance.now() - start).toBeLessThan(3_000)
  deaf.close()
})

test('sessions end when the tables are dropped, and new sessions work', async () => {
  const schema = newSchema()
  const store = postgresStore(server.url, { schema })
  const locks = createLocks({ store, duration: 5_000 })
  const lock = await locks.acquire('job')
  await admin.query(`DROP SCHEMA "${schema.replaceAll('"', '""')}" CASCADE`)
  await expect(lock.renew()).rejects.toMatchObject({ code: 'lost' })
  expect(lock.isHeld()).toBe(false)
  const again = await locks.acquire('job')
  expect(again.token).toBeGreaterThan(lock.token)
  // The channels have new names now.
  const other = postgresStore(server.url, { schema })
  const heard = vi.fn()
  store.channel?.subscribe('t', heard)
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({}), 5_000)
  other.channel?.publish('t', { n: 1 })
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({ n: 1 }), 5_000)
  await locks.close()
  await store.close()
  await other.close()
})

test('heartbeats go on when the app uses up its pool, or all connections for transactions', async () => {
  const pool = new pg.Pool({ connectionString: server.url, max: 1 })
  const store = postgresStore<pg.PoolClient>(pool, { schema: newSchema() })
  await store.apply([beat('a')])
  const client = await pool.connect()
  expect((await store.apply([beat('a')]))[0]?.type).toBe('beaten')
  client.release()
  const [granted] = await store.apply([request('a')])
  const { token } = (granted as Extract<Outcome, { type: 'granted' }>).holder
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const lock = { name: 'k', key: 'k', session: 'a', token, assertHeld() {} }
  const transactions = Array.from({ length: 5 }, () => store.transaction(lock, () => ended))
  expect((await store.apply([beat('a')]))[0]?.type).toBe('beaten')
  end()
  await Promise.all(transactions)
  await store.close()
  await pool.end()
})

test('a pool’s password is used although it is not enumerable', async () => {
  const pool = new pg.Pool({ host: '127.0.0.1', port: server.port, database: 'postgres', user: 'secured', password: 'right' })
  const store = postgresStore(pool, { schema: newSchema() })
  // The password is accepted; only making a schema is refused.
  await expect(store.apply([beat('a')])).rejects.toMatchObject({ code: 'store', cause: { code: '42501' } })
  await store.close()
  await pool.end()
})

test('another default isolation level is reported', async () => {
  const options = encodeURIComponent('-c default_transaction_isolation=serializable')
  const error = await failure(postgresStore(`${server.url}?options=${options}`, { schema: newSchema() }))
  expect(error).toMatchObject({ code: 'store' })
  expect(error.message).toContain('READ COMMITTED')
})
