import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createLocks, type HeldLock, LockError, type Locks } from '../src/index.ts'
import type { VerifyReply } from '../src/server/wire.ts'
import { type HttpStore, httpStore } from '../src/stores/http.ts'
import { lendPostgres } from '../test/servers/postgres.ts'
import { newSchema } from '../test/stores/postgres-place.ts'
import { logOf } from './server/log.ts'
import { killServers, type ServerProcess, startServer } from './server/process.ts'

// Three lock servers, in processes of their own, on one Postgres database, and clients that know all three. Times in ms.

let server: Awaited<ReturnType<typeof lendPostgres>>
let pool: pg.Pool
let schema: string
const closing: { close(): Promise<unknown> }[] = []

beforeAll(async () => {
  server = await lendPostgres()
  pool = new pg.Pool({ connectionString: server.url, max: 10 })
})
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close()
  await killServers()
  await pool.query(`DROP SCHEMA IF EXISTS "${schema.replaceAll('"', '""')}" CASCADE`)
})
afterAll(async () => {
  await pool.end()
  await server.remove()
})

/** Starts three servers. Each can be restarted at the same port. */
async function startThree() {
  schema = newSchema()
  const running: ServerProcess[] = await Promise.all([0, 1, 2].map(() => startServer(server.url, 0, schema)))
  const urls = running.map(({ url }) => url)
  return {
    urls,
    at: (index: number) => running[index] as ServerProcess,
    async restart(index: number) {
      await running[index]?.kill()
      running[index] = await startServer(server.url, Number(new URL(urls[index] as string).port), schema)
    },
  }
}

/** Makes a client whose list of servers begins with the given one. */
function clientOf(urls: readonly string[], first: number, duration = 10_000): { store: HttpStore; locks: Locks } {
  const store = httpStore([...urls.slice(first), ...urls.slice(0, first)], { timeout: 1_000 })
  const locks = createLocks({ store, duration })
  closing.push(store, locks)
  return { store, locks }
}

const verify = async (url: string, key: string, lockToken: string): Promise<VerifyReply> => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key, lockToken }) }
  return (await (await fetch(`${url}/v1/verify`, init)).json()) as VerifyReply
}

/** Adds one to a count, unless the count was written with a newer token than the lock's. */
async function addOne(lock: HeldLock): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query('SELECT value, token FROM fenced FOR UPDATE')
    lock.assertHeld()
    if (Number(rows[0].token) > lock.token) throw new LockError('lost', 'a newer token was seen')
    await client.query('UPDATE fenced SET token = $1, value = $2', [lock.token, Number(rows[0].value) + 1])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

test('clients of three servers that are killed, stopped and started again count under one lock, and no step is lost', {
  timeout: 180_000,
}, async () => {
  await pool.query('DROP TABLE IF EXISTS fenced; CREATE TABLE fenced (value int, token bigint); INSERT INTO fenced VALUES (0, 0)')
  const three = await startThree()
  const clients = Array.from({ length: 6 }, (_, n) => clientOf(three.urls, n % 3))
  let over = false
  let acknowledged = 0
  const refused: unknown[] = []
  const tokens: number[] = []
  const work = async ({ locks }: { locks: Locks }): Promise<void> => {
    while (!over) {
      try {
        await using lock = await locks.acquire('count')
        await addOne(lock)
        acknowledged++
        tokens.push(lock.token)
      } catch (error) {
        // A client may be told that it has lost the lock, or that no server answers.
        refused.push((error as LockError).code)
      }
    }
  }
  const working = Promise.all(clients.map(work))
  // Disturbs one server at a time, so that the other two always work.
  for (let round = 0; round < 6; round++) {
    const index = round % 3
    const before = acknowledged
    if (round % 2) {
      three.at(index).signal('SIGSTOP')
      await sleep(2_500)
      three.at(index).signal('SIGCONT')
    } else await three.restart(index)
    await sleep(500)
    await expect.poll(() => acknowledged, { timeout: 10_000 }).toBeGreaterThan(before)
  }
  over = true
  await working
  const { rows } = await pool.query('SELECT value FROM fenced')
  expect(rows[0].value).toBe(acknowledged)
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
  expect(new Set(tokens).size).toBe(acknowledged)
  expect(refused).toEqual([])
  // The servers share one log, which has each grant once.
  const grants = (await logOf(three.urls[0] as string)).filter(({ kind, key }) => kind === 'grant' && key === 'count')
  expect(new Set(grants.map(({ token }) => token)).size).toBe(grants.length)
  for (const token of tokens) expect(grants.some((grant) => grant.token === token)).toBe(true)
})

test.each([
  ['killed', async (one: ServerProcess) => await one.kill()],
  ['stopped', async (one: ServerProcess) => one.signal('SIGSTOP')],
])('a lock, its lockToken and a place in its queue survive when the server that granted them is %s', { timeout: 60_000 }, async (_, harm) => {
  const three = await startThree()
  const [holder, waiter] = [clientOf(three.urls, 0, 4_000), clientOf(three.urls, 0, 4_000)]
  const lock = await holder.locks.acquire('k')
  const lockToken = holder.store.lockToken(lock)
  const waiting = waiter.locks.acquire('k')
  const other = clientOf(three.urls, 1)
  await expect.poll(async () => (await other.locks.query()).pending.length).toBe(1)
  await harm(three.at(0))
  const behind = other.locks.acquire('k')
  // Twice the duration: without renewals, another client would have the lock by now.
  await sleep(8_000)
  expect(lock.isHeld()).toBe(true)
  for (const url of three.urls.slice(1)) expect(await verify(url, 'k', lockToken)).toMatchObject({ valid: true, token: lock.token })
  await lock.release()
  const next = await waiting
  expect(await verify(three.urls[2] as string, 'k', lockToken)).toMatchObject({ valid: false, why: 'not-held' })
  await next.release()
  await (await behind).release()
})

test('a holder that dies together with its server is replaced, after its lease, by a waiter at another server', { timeout: 60_000 }, async () => {
  const three = await startThree()
  // This client knows the first server only, so without it no server hears from the client.
  const gone = httpStore(three.urls[0] as string)
  const locks = createLocks({ store: gone, duration: 2_000 })
  closing.push(gone, locks)
  await locks.acquire('k')
  const waiting = clientOf(three.urls, 1).locks.acquire('k')
  await three.at(0).kill()
  const since = performance.now()
  await (await waiting).release()
  expect(performance.now() - since).toBeLessThan(6_000)
})

test('a session that ends releases all its locks, whichever server granted them', { timeout: 60_000 }, async () => {
  const three = await startThree()
  const { locks } = clientOf(three.urls, 0)
  await locks.acquire('a')
  await three.restart(0)
  await locks.acquire('b')
  await locks.close()
  const other = clientOf(three.urls, 2)
  for (const key of ['a', 'b']) expect(await other.locks.tryAcquire(key)).not.toBeNull()
})
