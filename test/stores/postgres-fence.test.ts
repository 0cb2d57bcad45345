import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Command, Fenced, Outcome } from '../../src/protocol/index.ts'
import { type PostgresStore, postgresStore } from '../../src/stores/postgres.ts'
import { lease } from '../protocol/shelf.ts'
import { lendPostgres } from '../servers/postgres.ts'
import { newSchema } from './postgres-place.ts'

let server: Awaited<ReturnType<typeof lendPostgres>>
let pool: pg.Pool

beforeAll(async () => {
  server = await lendPostgres()
  pool = new pg.Pool({ connectionString: server.url })
  await pool.query('CREATE TABLE IF NOT EXISTS fenced (text text)')
})
afterAll(async () => {
  await pool.end()
  await server.remove()
})

const beat = (session: string, opens = false): Command => ({ type: 'beat', session, client: session, lease, ...(opens && { opens }) })
const request = (session: string, number = 1, more = {}): Command => ({
  ...{ type: 'request', key: 'k', session, client: session, number, mode: 'exclusive', confirm: 500 },
  ...more,
})

/** Two stores: `store` with the session `a`, which holds the lock, and `other` with the session `b`. */
async function held(): Promise<{ store: PostgresStore<pg.PoolClient>; other: PostgresStore<pg.PoolClient>; lock: Fenced }> {
  const schema = newSchema()
  const store = postgresStore<pg.PoolClient>(pool, { schema, notify: false })
  const other = postgresStore<pg.PoolClient>(pool, { schema, notify: false })
  await store.apply([beat('a', true)])
  await other.apply([beat('b', true)])
  const [granted] = await store.apply([request('a')])
  const token = (granted as Extract<Outcome, { type: 'granted' }>).holder.token
  return { store, other, lock: { name: 'k', key: 'k', session: 'a', token, assertHeld() {} } }
}

const settled = (promise: Promise<unknown>): (() => boolean) => {
  let done = false
  promise.then(
    () => {
      done = true
    },
    () => {
      done = true
    },
  )
  return () => done
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs `use` with a client in a transaction that has checked the lock. */
async function within<T>(begin: string, store: PostgresStore<pg.PoolClient>, lock: Fenced, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    await store.check(client, lock)
    return await use(client)
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
}

describe.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])('a transaction at %s', (level) => {
  const begin = `BEGIN ISOLATION LEVEL ${level}`

  test.each<[string, Command]>([
    ['stolen', request('b', 1, { steal: true })],
    ['revoked', { type: 'revoke', key: 'k' }],
  ])('that has checked a lock commits before the lock can be %s', async (_, taking) => {
    const { store, other, lock } = await held()
    await within(begin, store, lock, async (client) => {
      const taken = other.apply([taking])
      const isTaken = settled(taken)
      await expect.poll(() => other.isBusy?.()).toBe(true)
      await pause(100)
      expect(isTaken()).toBe(false)
      await client.query('INSERT INTO fenced VALUES ($1)', [lock.token])
      await client.query('COMMIT')
      expect((await taken)[0]?.type).toMatch(/granted|done/)
    })
    expect((await pool.query('SELECT FROM fenced WHERE text = $1', [lock.token])).rowCount).toBe(1)
  })

  test('is refused once the lock was stolen', async () => {
    const { store, other, lock } = await held()
    await other.apply([request('b', 1, { steal: true })])
    await expect(within(begin, store, lock, async () => {})).rejects.toMatchObject({ code: 'lost' })
  })

  test('is refused after a steal, also if both commit at the same time', async () => {
    const { store, other, lock } = await held()
    const outcomes = await Promise.all([
      other.apply([request('b', 1, { steal: true })]),
      ...Array.from({ length: 8 }, () => within(begin, store, lock, (client) => client.query('COMMIT')).catch((error) => error)),
    ])
    expect((outcomes[0] as Outcome[])[0]?.type).toBe('granted')
    await expect(within(begin, store, lock, async () => {})).rejects.toMatchObject({ code: 'lost' })
  })
})

test('a transaction that has checked a lock does not delay heartbeats, waiters, renewals, other keys or the lock’s own release', async () => {
  const { store, other, lock } = await held()
  await within('BEGIN', store, lock, async (client) => {
    const types = async (from: typeof store, ...commands: Command[]) => (await from.apply(commands)).map(({ type }) => type)
    expect(await types(store, beat('a'))).toEqual(['beaten'])
    expect(await types(other, request('b'), request('b', 1, { key: 'other' }), beat('b'))).toEqual(['queued', 'granted', 'beaten'])
    expect(await types(store, { type: 'renew', key: 'k', session: 'a', token: lock.token, lease: 5_000 })).toEqual(['renewed'])
    expect(await types(other, { type: 'withdraw', key: 'k', session: 'b', number: 1 })).toEqual(['done'])
    expect(await types(store, { type: 'release', key: 'k', session: 'a', token: lock.token })).toEqual(['done'])
    // No other session gets the lock yet.
    const granted = other.apply([request('b', 2)])
    const isGranted = settled(granted)
    await pause(100)
    expect(isGranted()).toBe(false)
    await client.query('COMMIT')
    expect((await granted)[0]?.type).toBe('granted')
  })
})

test('a check outside a transaction is refused, since it would protect nothing', async () => {
  const { store, lock } = await held()
  const client = await pool.connect()
  try {
    await expect(store.check(client, lock)).rejects.toMatchObject({ code: 'invalid' })
  } finally {
    client.release()
  }
})

test('a transaction is reported as failed even if its body hides that a statement failed', async () => {
  const { store, lock } = await held()
  const body = (client: pg.PoolClient) => client.query('SELECT 1 / 0').catch(() => 'hidden')
  await expect(store.transaction(lock, body)).rejects.toMatchObject({ code: 'store' })
})

test('the statement of a check works with any client, and fails with its own code', async () => {
  const { store, other, lock } = await held()
  const { text, values } = store.checkStatement(lock)
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query(text, [...values])
  await client.query('COMMIT')
  await other.apply([request('b', 1, { steal: true })])
  await client.query('BEGIN')
  await expect(client.query(text, [...values])).rejects.toMatchObject({ code: 'STL01' })
  await client.query('ROLLBACK')
  client.release()
})

test('a check in a read-only transaction fails', async () => {
  const { store, lock } = await held()
  await expect(within('BEGIN READ ONLY', store, lock, async () => {})).rejects.toMatchObject({ code: 'store' })
})
