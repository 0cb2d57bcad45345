import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type ClientRequest, request as send } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { createLocks, type Store } from '../../src/index.ts'
import { createHandler, type HandlerOptions, type LockServer, serve } from '../../src/server/index.ts'
import type { AcquireReply, LogReply } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

async function world(options: HandlerOptions = {}) {
  const store = memoryStore()
  const handler = await handlerOf(store, options)
  return { store, handler, a: new Client(handler, 'a'), b: new Client(handler, 'b') }
}

type Granted = Extract<AcquireReply, { granted: true }>
type Queued = Extract<AcquireReply, { granted: false }>

async function acquired(client: Client, body: object = {}): Promise<Granted> {
  const response = await client.post('/v1/acquire', { key: 'k', ...body })
  const reply = await response.json()
  expect([response.status, reply.granted]).toEqual([200, true])
  return reply
}

async function asked(client: Client, path: string, body: object) {
  const response = await client.post(path, { key: 'k', ...body })
  return { status: response.status, ...(await response.json()) }
}

/** Resolves when this many sessions wait for the key. */
async function waiters(store: Store, count: number): Promise<void> {
  for (;;) {
    if ((await store.read('k'))?.queue.length === count) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

test('L1: the whole life of a lock is four requests: acquire, renew, verify, release', async () => {
  const { store, a } = await world()
  const { lockToken, token, duration } = await acquired(a)
  expect(duration).toBe(30_000)
  expect(await asked(a, '/v1/renew', { lockToken })).toEqual({ status: 200, renewed: true, key: 'k', token, duration: 30_000 })
  expect(await asked(a, '/v1/verify', { lockToken })).toMatchObject({ valid: true, token })
  expect(await asked(a, '/v1/release', { lockToken })).toEqual({ status: 200, released: true, key: 'k' })
  expect(await store.read('k')).toMatchObject({ holders: [], queue: [] })
  const { storelock_sessions: sessions } = await figures(a)
  expect(sessions).toBe(0)
})

async function figures(client: Client): Promise<Record<string, number>> {
  const text = await (await client.fetch('/metrics')).text()
  return Object.fromEntries([...text.matchAll(/^(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]))
}

test('acquire answers when the previous holder releases, with a higher fencing token', async () => {
  const { store, a, b } = await world()
  const first = await acquired(a)
  const waiting = acquired(b)
  await waiters(store, 1)
  await asked(a, '/v1/release', { lockToken: first.lockToken })
  const second = await waiting
  expect(second.token).toBeGreaterThan(first.token)
  expect(second.previous).toBe(first.token)
  expect((await store.read('k'))?.holders).toMatchObject([{ token: second.token, unconfirmed: undefined }])
})

test('acquire with a limit of two is granted to two clients, each with its own lockToken, and then in the order of asking', async () => {
  const { store, a, b } = await world()
  const two = { limit: 2 }
  const [first, second] = [await acquired(a, two), await acquired(b, two)]
  expect(await asked(a, '/v1/acquire', { ...two, wait: 0 })).toMatchObject({ status: 409, error: { code: 'held' } })
  const waiting = acquired(a, two)
  await waiters(store, 1)
  for (const { lockToken, token } of [first, second]) expect(await asked(a, '/v1/verify', { lockToken })).toMatchObject({ valid: true, token })
  expect(await asked(a, '/v1/renew', { lockToken: first.lockToken })).toMatchObject({ renewed: true })
  expect(await asked(b, '/v1/release', { lockToken: second.lockToken })).toMatchObject({ released: true })
  const third = await waiting
  expect(third.token).toBeGreaterThan(second.token)
  expect(await asked(b, '/v1/verify', { lockToken: second.lockToken })).toMatchObject({ valid: false, why: 'not-held' })
  expect((await store.read('k'))?.holders.map(({ token, limit }) => [token, limit])).toEqual([
    [first.token, 2],
    [third.token, 2],
  ])
})

test('acquire with another limit than the holders’ is refused with a message that names both, and leaves nothing behind', async () => {
  const { store, a, b } = await world()
  const { token } = await acquired(a, { limit: 2 })
  const message = '"k" is held or waited for with a limit of 2, so it cannot be requested with a limit of 3 meanwhile'
  expect(await asked(b, '/v1/acquire', { limit: 3 })).toEqual({ status: 409, error: { code: 'invalid', message } })
  expect(await asked(b, '/v1/acquire', {})).toMatchObject({ status: 409, error: { code: 'invalid' } })
  expect(await store.read('k')).toMatchObject({ holders: [{ token }], queue: [] })
  expect((await figures(a)).storelock_sessions).toBe(1)
})

test.each([0, 1.5, 1_001, '2', -1])('acquire refuses a limit of %s as malformed', async (limit) => {
  const { a } = await world()
  expect(await asked(a, '/v1/acquire', { limit })).toMatchObject({ status: 400 })
  expect(await asked(a, '/v1/acquire', { limit: 2, mode: 'shared' })).toMatchObject({ status: 400 })
})

test('a limit of 1 is no limit', async () => {
  const { store, a } = await world()
  await acquired(a, { limit: 1 })
  expect((await store.read('k'))?.holders[0]?.limit).toBeUndefined()
})

test('a client may not send a limit that steals, is shared, or is out of range', async () => {
  const { store, a } = await world()
  const session = { type: 'request', key: 'k', session: 's', client: 'c', number: 1, mode: 'exclusive', confirm: 500, limit: 2 } as const
  const { outcomes } = await a.apply(beat('s'), { ...session, steal: true }, { ...session, mode: 'shared' })
  expect(outcomes.slice(1)).toMatchObject([
    { type: 'refused', reason: 'limit' },
    { type: 'refused', reason: 'limit' },
  ])
  for (const limit of [1, 1_001]) expect((await a.post('/v1/apply', { commands: [{ ...session, limit }] })).status).toBe(400)
  expect((await store.read('k'))?.holders ?? []).toEqual([])
})

test('acquire is granted when all holders with another limit are proved dead', async () => {
  const { store, a } = await world()
  const beacon = await store.beacon.raise('local')
  const local = { type: 'beat', session: 'local', client: 'c', lease: 30_000, beacon: beacon.address, opens: true } as const
  await store.apply([local, { type: 'request', key: 'k', session: 'local', client: 'c', number: 1, mode: 'exclusive', confirm: 500, limit: 2 }])
  expect(await asked(a, '/v1/acquire', {})).toMatchObject({ status: 409 })
  beacon.lower()
  await acquired(a)
})

test('acquire is served in the order of asking, together with sessions at the store itself', async () => {
  const { store, a, b } = await world()
  const local = createLocks({ store })
  const held = await local.acquire('k')
  const order: string[] = []
  const noted = async <T>(who: string, granted: Promise<T>): Promise<T> => {
    const got = await granted
    order.push(who)
    return got
  }
  const first = noted('a', acquired(a))
  await waiters(store, 1)
  const second = noted('local', local.acquire('k'))
  await waiters(store, 2)
  const third = noted('b', acquired(b))
  await waiters(store, 3)
  await held.release()
  await asked(a, '/v1/release', { lockToken: (await first).lockToken })
  await (await second).release()
  await third
  expect(order).toEqual(['a', 'local', 'b'])
  await local.close()
})

test('a wait that ends without the lock can be resumed by its request name, at its place in the queue', async () => {
  const { store, a, b } = await world()
  const { lockToken } = await acquired(a)
  const early: Queued & { status: number } = await asked(b, '/v1/acquire', { wait: 10 })
  expect(early).toEqual({ status: 202, granted: false, key: 'k', request: expect.any(String), ahead: 1 })
  const late: Queued & { status: number } = await asked(new Client(a.handler, 'c'), '/v1/acquire', { wait: 10 })
  expect(late.ahead).toBe(2)
  expect((await store.read('k'))?.queue).toHaveLength(2)
  const resumed = acquired(b, { request: early.request })
  await asked(a, '/v1/release', { lockToken })
  expect((await resumed).request).toBe(early.request)
})

test('a granted request gets the same answer when it is sent again, so a lost answer costs nothing', async () => {
  const { a } = await world()
  const body = { request: 'job-0001' }
  const first = await acquired(a, body)
  expect(await acquired(a, body)).toMatchObject({ token: first.token })
})

test('a request can be resumed after a restart of the server on the same file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const store = atEnd(sqliteStore(join(folder, 'locks.db')))
  const before = await createHandler(store)
  const body = { request: 'job-0001', wait: 10 }
  const holder = await acquired(new Client(before, 'a'))
  expect((await asked(new Client(before, 'b'), '/v1/acquire', body)).status).toBe(202)
  await before.close()
  const after = await handlerOf(store)
  const resumed = acquired(new Client(after, 'b'), { request: 'job-0001' })
  expect((await store.read('k'))?.queue).toHaveLength(1)
  await asked(new Client(after, 'a'), '/v1/release', { lockToken: holder.lockToken })
  expect((await resumed).token).toBeGreaterThan(holder.token)
})

test('a request whose lock was released is over', async () => {
  const { a } = await world()
  const body = { request: 'job-0001' }
  const { lockToken } = await acquired(a, body)
  await asked(a, '/v1/release', { lockToken })
  expect(await asked(a, '/v1/acquire', body)).toMatchObject({ status: 409, error: { code: 'over' } })
})

test('with wait 0 a held lock is refused at once, and no place in the queue is taken', async () => {
  const { store, a, b } = await world()
  await acquired(a)
  expect(await asked(b, '/v1/acquire', { wait: 0 })).toMatchObject({ status: 409, error: { code: 'held' } })
  expect(await store.read('k')).toMatchObject({ queue: [] })
  expect((await figures(b)).storelock_sessions).toBe(1)
})

test('a request belongs to its client key: the same name from another client is another request', async () => {
  const { a, b } = await world()
  const body = { request: 'job-0001', wait: 0 }
  await acquired(a, body)
  expect(await asked(b, '/v1/acquire', body)).toMatchObject({ status: 409, error: { code: 'held' } })
})

test('acquire without a client key is refused, and the answer says how to make one', async () => {
  const { store, a } = await world()
  delete a.headers['storelock-client']
  expect(await asked(a, '/v1/acquire', {})).toMatchObject({ status: 400, error: { message: expect.stringContaining('storelock-client') } })
  expect(await store.read('k')).toBeUndefined()
})

test('only the client that acquired a lock can renew and release it: the lockToken alone is not enough', async () => {
  const { store, a, b } = await world()
  const { lockToken } = await acquired(a)
  for (const path of ['/v1/renew', '/v1/release']) expect((await asked(b, path, { lockToken })).status).toBeGreaterThanOrEqual(400)
  expect((await store.read('k'))?.holders).toHaveLength(1)
})

test('a forged lockToken cannot renew or release, and is logged', async () => {
  const { a, b } = await world()
  await acquired(a)
  for (const path of ['/v1/renew', '/v1/release']) expect(await asked(b, path, { lockToken: 'sl1.x.y' })).toMatchObject({ status: 403 })
  expect((await a.get<LogReply>('/v1/log?kind=refusal')).entries).toHaveLength(2)
})

test('a revoked lock is lost at the next renewal, and releasing it is not an error', async () => {
  const { a } = await world()
  const { lockToken } = await acquired(a)
  await a.apply({ type: 'revoke', key: 'k' })
  expect(await asked(a, '/v1/renew', { lockToken })).toMatchObject({ status: 409, error: { code: 'not-held' } })
  expect(await asked(a, '/v1/release', { lockToken })).toEqual({ status: 200, released: false, key: 'k' })
})

test('a renewal may ask for a longer duration', async () => {
  const { store, a } = await world()
  const { lockToken } = await acquired(a, { duration: 3_000 })
  expect(await asked(a, '/v1/renew', { lockToken, duration: 60_000 })).toMatchObject({ duration: 60_000 })
  expect((await store.read('k'))?.holders).toMatchObject([{ lease: 80_000 }])
})

test('acquire has the same budgets as all other commands', async () => {
  const { a, b } = await world({ limits: { held: 1, waiters: 1, topics: 2 } })
  await acquired(a)
  expect(await asked(b, '/v1/acquire', { key: 'other', wait: 0 })).toMatchObject({ status: 429, error: { code: 'too-many' } })
  expect(await asked(b, '/v1/acquire', { wait: 1 })).toMatchObject({ status: 429 })
  expect((await figures(a)).storelock_sessions).toBe(1)
})

test('acquire respects the prefixes of its credential', async () => {
  const token = randomBytes(16).toString('hex')
  const { handler } = await world({ clients: [{ name: 'app', token, prefixes: ['app/'] }] })
  expect(await asked(new Client(handler, 'a', token), '/v1/acquire', {})).toMatchObject({ status: 403, error: { code: 'forbidden' } })
})

test('a waiter notices a grant before it lapses, even without a hint', async () => {
  const { store, a } = await world()
  await store.apply([beat('local'), request('local')] as never)
  const waiting = acquired(a)
  await waiters(store, 1)
  const token = (await store.read('k'))?.holders[0]?.token as number
  await store.apply([{ type: 'release', key: 'k', session: 'local', token }])
  const granted = (await store.read('k'))?.holders[0]?.token
  expect((await waiting).token).toBe(granted)
})

test('while the log cannot be written, acquire is refused with 503', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const store = atEnd(sqliteStore(join(folder, 'locks.db')))
  const a = new Client(await handlerOf(store, { onError: () => {} }), 'a')
  atEnd(new Database(join(folder, 'locks.db'))).exec('ALTER TABLE storelock_log RENAME TO away')
  expect(await asked(a, '/v1/acquire', {})).toMatchObject({ status: 503, error: { code: 'store' } })
  expect((await store.read('k'))?.holders).toEqual([])
})

/** A client that can hang up. */
function dial({ url }: LockServer, body: object): { readonly sent: ClientRequest; readonly reply: Promise<unknown> } {
  const headers = { 'content-type': 'application/json', 'storelock-client': randomBytes(16).toString('hex') }
  const sent = send(`${url}/v1/acquire`, { method: 'POST', headers })
  const reply = new Promise((resolve) => {
    sent.on('error', resolve)
    sent.on('response', (response) => response.setEncoding('utf8').on('data', (text) => resolve(JSON.parse(text))))
  })
  sent.end(JSON.stringify({ key: 'k', ...body }))
  return { sent, reply }
}

test('a waiter whose client hangs up leaves no place in the queue and no session', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const local = createLocks({ store })
  const held = await local.acquire('k')
  const { sent, reply } = dial(server, {})
  await waiters(store, 1)
  const { session = '' } = (await store.read('k'))?.queue[0] ?? {}
  sent.destroy()
  await reply
  await waiters(store, 0)
  while ((await store.apply([{ type: 'end', session, seq: -1 }]))[0]?.type !== 'ended') await new Promise((resolve) => setTimeout(resolve, 2))
  await held.release()
  await local.close()
})

test('a client that disconnects while the lock is being granted does not keep it', async () => {
  const store = memoryStore()
  const server = atEnd(await serve(store))
  const local = createLocks({ store })
  const held = await local.acquire('k')
  const { sent, reply } = dial(server, {})
  await waiters(store, 1)
  sent.destroy()
  await held.release()
  await reply
  await (await local.acquire('k')).release()
  await local.close()
})

test('a server that is closed answers all waiters, and they keep their places', async () => {
  const store = memoryStore()
  const server = await serve(store)
  const local = createLocks({ store })
  const held = await local.acquire('k')
  const { reply } = dial(server, { request: 'job-0001' })
  await waiters(store, 1)
  await server.close()
  expect(await reply).toMatchObject({ granted: false, request: 'job-0001' })
  expect((await store.read('k'))?.queue).toHaveLength(1)
  await held.release()
  await local.close()
})
