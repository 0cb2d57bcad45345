import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { createLocks, type LockEvent, type Locks } from '../../src/index.ts'
import type { Command } from '../../src/protocol/index.ts'
import { Access } from '../../src/server/access.ts'
import { Budgets } from '../../src/server/budgets.ts'
import { Claims } from '../../src/server/claims.ts'
import { makeComparing } from '../../src/server/forgetting.ts'
import { createHandler, serve } from '../../src/server/index.ts'
import { postgresJournal } from '../../src/server/journal/postgres.ts'
import { limitsOf } from '../../src/server/options.ts'
import { keysOf } from '../../src/server/secret.ts'
import { KeyRing } from '../../src/server/tokens.ts'
import type { AcquireReply, ApplyReply, LogReply, ReadReply, VerifyReply } from '../../src/server/wire.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { gateTo } from '../stores/gate.ts'
import { newSchema } from '../stores/postgres-place.ts'
import { besideOf, usePostgres } from './journals.ts'
import { atEnd, beat, Client, handlerOf, handOver, request } from './world.ts'

const open = usePostgres()
const secret = 'a secret of sixteen bytes or more'

/** Two lock servers on one database, each with its own store. */
async function two() {
  const schema = newSchema()
  const stores = [open(schema), open(schema)] as const
  return { schema, stores, a: await handlerOf(stores[0], { secret }), b: await handlerOf(stores[1], { secret }) }
}

/** Two clients at two lock servers that get hints from each other, and look so rarely that a test would end first. */
async function apart() {
  const schema = newSchema()
  const hints: (number | undefined)[] = []
  const observe = (event: LockEvent): unknown => event.type === 'hinted' && hints.push(event.token)
  const clients: Locks[] = []
  for (let n = 0; n < 2; n++) {
    const { url } = atEnd(await serve(open(schema), { secret }))
    clients.push(atEnd(createLocks({ store: atEnd(httpStore(url)), duration: 600_000, maxBackoff: 600_000, observe })))
  }
  const [here, there] = clients as [Locks, Locks]
  // A hint that is sent before a stream is open is lost, so the first ones do not count.
  for (const pair of [clients, clients.toReversed()] as [Locks, Locks][])
    await expect.poll(async () => hints.includes(await handOver(...pair)), { timeout: 10_000 }).toBe(true)
  return { here, there, hints }
}

const logOf = async (client: Client, query = 'key=k'): Promise<string[]> =>
  (await client.get<LogReply>(`/v1/log?${query}&limit=1000`)).entries.map(({ kind }) => kind)

describe('two lock servers on one Postgres', () => {
  test('a lock from one server can be verified, renewed and released at the other', async () => {
    const { a, b } = await two()
    const { lockTokens } = await new Client(a, 'c').take('s')
    const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
    const there = new Client(b, 'c')
    const verify = async () => (await (await there.post('/v1/verify', { key: 'k', lockToken })).json()) as VerifyReply
    expect(await verify()).toMatchObject({ valid: true, holder: { session: 's' }, token })
    const { outcomes } = await there.apply(beat('s'), { type: 'renew', key: 'k', session: 's', token, lockToken })
    expect(outcomes).toMatchObject([{ type: 'beaten' }, { type: 'renewed' }])
    expect((await there.apply({ type: 'release', key: 'k', session: 's', token, lockToken })).outcomes).toMatchObject([{ type: 'done' }])
    expect(await verify()).toMatchObject({ valid: false, why: 'not-held' })
    expect(await logOf(new Client(a, 'c'))).toEqual(['release', 'grant'])
  })

  test('a foreign client is refused at the other server, and both logs have its attempts', async () => {
    const { a, b } = await two()
    const { lockTokens } = await new Client(a, 'c').take('s')
    const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
    const foreign = new Client(b, 'foreign')
    expect((await foreign.apply(beat('s'))).outcomes).toMatchObject([{ type: 'ended' }])
    expect((await foreign.apply({ type: 'release', key: 'k', session: 's', token, lockToken })).outcomes).toMatchObject([
      { type: 'refused', reason: 'not-owner' },
    ])
    expect((await foreign.get<ReadReply>('/v1/locks/k')).lockTokens).toEqual([])
    for (const at of [a, b]) expect(await logOf(new Client(at, 'c'), 'kind=refusal')).toHaveLength(2)
    expect((await new Client(a, 'c').get<ReadReply>('/v1/locks/k')).lock?.holders).toMatchObject([{ session: 's' }])
  })

  test('L1: one client at a time holds a lock, whichever server each one asks, and waiters are served in order', async () => {
    const { a, b } = await two()
    const clients = [new Client(a, 'one'), new Client(b, 'two'), new Client(a, 'three')] as const
    const taken = await clients[0].take('s1')
    const types = (reply: ApplyReply) => reply.outcomes.map(({ type }) => type)
    expect([types(taken), types(await clients[1].take('s2')), types(await clients[2].take('s3'))]).toEqual([
      ['beaten', 'granted'],
      ['beaten', 'queued'],
      ['beaten', 'queued'],
    ])
    const { token, lockToken } = taken.lockTokens[0] as { token: number; lockToken: string }
    await new Client(b, 'one').apply({ type: 'release', key: 'k', session: 's1', token, lockToken })
    const { lock, lockTokens } = await new Client(a, 'two').get<ReadReply>('/v1/locks/k')
    expect([lock?.holders.map(({ session }) => session), lock?.queue.map(({ session }) => session)]).toEqual([['s2'], ['s3']])
    expect(lockTokens).toMatchObject([{ session: 's2' }])
  })

  test('a session that ends at one server loses the locks that it took at the other', async () => {
    const { a, b } = await two()
    await new Client(a, 'c').take('s', 'k')
    await new Client(b, 'c').take('s', 'l', 2)
    await new Client(b, 'c').apply({ type: 'end', session: 's' })
    for (const key of ['k', 'l']) expect((await new Client(a, 'd').take('t', key)).outcomes[1]).toMatchObject({ type: 'granted' })
  })

  test('if two clients open the same session at both servers at once, only one of them gets it', async () => {
    const { a, b } = await two()
    for (let n = 0; n < 20; n++) {
      const done = await Promise.all([new Client(a, 'one').take(`s${n}`, `k${n}`), new Client(b, 'two').take(`s${n}`, `k${n}`)])
      expect(done.filter(({ outcomes }) => outcomes[1]?.type === 'granted')).toHaveLength(1)
    }
  })

  test('a release at one server wakes the waiter at the other by a hint', async () => {
    const { here, there, hints } = await apart()
    for (let round = 0; round < 4; round++) {
      const token = await handOver(here, there)
      await expect.poll(() => hints, { timeout: 5_000 }).toContain(token)
    }
  })

  test('`whenFree` notices a release at the other server by a hint', async () => {
    const { here, there } = await apart()
    for (let round = 0; round < 4; round++) {
      const held = await here.acquire('k')
      const free = there.whenFree('k')
      // The release may come before anything that `whenFree` does, or after it.
      await new Promise((resolve) => setTimeout(resolve, round * 50))
      await held.release()
      await free
    }
  })

  test('a client of plain requests resumes at another server, and the first one, which notices its leaving late, withdraws nothing', async () => {
    const schema = newSchema()
    const urls: string[] = []
    for (let n = 0; n < 2; n++) urls.push(atEnd(await serve(open(schema), { secret })).url)
    const gate = await gateTo(urls[0] as string)
    const headers = { 'content-type': 'application/json', 'storelock-client': 'a-client-of-requests' }
    const acquire = async (url: string, request: string, more: object = {}) => {
      const { signal, wait = 0 } = more as { signal?: AbortSignal; wait?: number }
      const body = JSON.stringify({ key: 'k', request, wait })
      return (await (await fetch(`${url}/v1/acquire`, { method: 'POST', headers, body, ...(signal && { signal }) })).json()) as AcquireReply
    }
    const held = await acquire(urls[1] as string, 'the-holder')
    const leave = new AbortController()
    const first = acquire(gate.url, 'the-waiter', { wait: 50_000, signal: leave.signal }).catch(() => 'gone')
    const looks = new Client(await handlerOf(open(schema), { secret }), 'onlooker')
    const view = async () => (await looks.get<ReadReply>('/v1/locks/k')).lock
    await expect.poll(async () => (await view())?.queue.length).toBe(1)
    gate.hold()
    leave.abort()
    expect(await first).toBe('gone')
    const second = acquire(urls[1] as string, 'the-waiter', { wait: 50_000 })
    const { lockToken } = held as { lockToken: string }
    await fetch(`${urls[1]}/v1/release`, { method: 'POST', headers, body: JSON.stringify({ key: 'k', lockToken }) })
    const granted = await second
    expect(granted).toMatchObject({ granted: true })
    gate.open()
    // By now the first server has noticed that the client has left.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const verified = await fetch(`${urls[1]}/v1/verify`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ key: 'k', lockToken: (granted as { lockToken: string }).lockToken }),
    })
    expect(await verified.json()).toMatchObject({ valid: true })
  })

  test('a client of plain requests that has gone leaves nothing behind', async () => {
    const schema = newSchema()
    const { url } = atEnd(await serve(open(schema), { secret }))
    const headers = { 'content-type': 'application/json', 'storelock-client': 'a-client-of-requests' }
    const client = new Client(await handlerOf(open(schema), { secret }), 'c')
    const { lockTokens } = await client.take('s')
    const leave = new AbortController()
    const waiting = fetch(`${url}/v1/acquire`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ key: 'k', wait: 50_000 }),
      signal: leave.signal,
    }).catch(() => 'gone')
    const queue = async () => (await client.get<ReadReply>('/v1/locks/k')).lock?.queue.length
    await expect.poll(queue).toBe(1)
    leave.abort()
    expect(await waiting).toBe('gone')
    await expect.poll(queue, { timeout: 5_000 }).toBe(0)
    const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
    await client.apply({ type: 'release', key: 'k', session: 's', token, lockToken })
    expect((await client.get<ReadReply>('/v1/locks/k')).lock?.holders).toEqual([])
  })

  test('sessions and locks that clients have ended and released at one server no longer count at the other', async () => {
    const store = memoryStore()
    const limits = limitsOf()
    const claims = new Claims(new Budgets(limits, () => {}))
    const caller = new Access(undefined).nobody('a')
    await store.apply([beat('s'), beat('t')] as Command[])
    for (const session of ['s', 't']) {
      claims.open(session, caller)
      claims.ask(request(session, session), caller)
      claims.granted(session, session, 1, 1)
    }
    const compare = makeComparing({ store, claims }, (session) => claims.end(session))
    await store.apply([{ type: 'end', session: 's' }])
    await compare()
    expect([claims.sessions, claims.held]).toEqual([2, 0])
    await compare()
    expect([...claims.ids()]).toEqual(['t'])
  })

  test('log entries are committed with their commands: no read ever shows a holder whose grant is not in the log', async () => {
    const { a, b, schema, stores } = await two()
    const s = `"${schema.replaceAll('"', '""')}"`
    let over = false
    const watch = async () => {
      for (let looks = 0; ; looks++) {
        const rows = await besideOf(stores[0]).query(
          `SELECT h ->> 1 AS token, EXISTS (SELECT FROM ${s}.lock_log WHERE key = substr(r.id, 3) AND kind = 'grant' AND token = (h ->> 1)::bigint) AS noted FROM ${s}.lock_rows r, json_array_elements(r.holders::json) h`,
        )
        for (const { noted } of rows) expect(noted).toBe(true)
        if (over) return looks
      }
    }
    const looking = watch()
    const work = async (client: Client, session: string) => {
      await client.apply(beat(session))
      for (let number = 1; number <= 30; number++) {
        const { lockTokens } = await client.apply(request(session, session, number))
        const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
        await client.apply({ type: 'release', key: session, session, token, lockToken })
      }
    }
    await Promise.all([work(new Client(a, 'c'), 's'), work(new Client(b, 'd'), 't'), work(new Client(b, 'e'), 'u')])
    over = true
    expect(await looking).toBeGreaterThan(5)
    const kinds = await logOf(new Client(a, 'c'), '')
    expect([kinds.filter((kind) => kind === 'grant').length, kinds.filter((kind) => kind === 'release').length]).toEqual([90, 90])
  })

  test('while the log cannot be written no lock is granted, holders can release, and afterwards no entry is missing', async () => {
    const schema = newSchema()
    const store = open(schema)
    const handler = await handlerOf(store, { secret, onError: () => {} })
    const client = new Client(handler, 'c')
    const { lockTokens } = await client.take('s')
    const s = `"${schema.replaceAll('"', '""')}"`
    await besideOf(store).query(`ALTER TABLE ${s}.lock_log RENAME TO away`)
    const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
    expect((await client.apply({ type: 'release', key: 'k', session: 's', token, lockToken })).outcomes).toMatchObject([{ type: 'done' }])
    expect((await client.apply(request('s', 'k', 2))).outcomes).toMatchObject([{ type: 'failed', code: 'store' }])
    await besideOf(store).query(`ALTER TABLE ${s}.away RENAME TO lock_log`)
    await expect.poll(async () => (await client.apply(request('s', 'k', 3))).outcomes[0]?.type, { timeout: 10_000 }).toBe('granted')
    const kinds = await logOf(client)
    expect([kinds[0], kinds.at(-1)]).toEqual(['grant', 'grant'])
    expect(kinds).toContain('release')
  })

  test('starting a second server adds nothing to the log', async () => {
    const schema = newSchema()
    const client = new Client(await handlerOf(open(schema), { secret }), 'c')
    await client.take('s')
    await handlerOf(open(schema), { secret })
    expect(await logOf(client)).toEqual(['grant'])
  })
})

describe('the keys of several servers', () => {
  test('a server on a Postgres database needs a secret', async () => {
    await expect(createHandler(open())).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('--secret-file') })
  })

  test('a server refuses to start beside a server whose lockTokens it cannot verify', async () => {
    const schema = newSchema()
    const first = await createHandler(open(schema), { secret })
    await expect(createHandler(open(schema), { secret: 'another secret of 16 bytes' })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('signs lockTokens with a key that this one does not have'),
    })
    await first.close()
    await (await createHandler(open(schema), { secret: 'another secret of 16 bytes' })).close()
  })

  test('keys can be rotated one server at a time: add the new key, sign with it, remove the old one', async () => {
    const schema = newSchema()
    const [old, fresh] = ['the old secret of 16 bytes', 'the new secret of 16 bytes']
    const errors: unknown[] = []
    const onError = (error: unknown): void => void errors.push(error)
    const first = await handlerOf(open(schema), { secret: old, onError })
    const second = await handlerOf(open(schema), { secret: old, onError })
    const admin = besideOf(open(schema))
    const s = `"${schema.replaceAll('"', '""')}"`
    for (const secret of [[old, fresh], [fresh, old], [fresh]])
      for (const [index, server] of [first, second].entries()) {
        server.reload({ secret })
        const prints = new KeyRing(keysOf(secret)).prints()
        const shown = async () => (await admin.query(`SELECT FROM ${s}.lock_servers WHERE signs = $1 AND knows = $2`, [prints[0], prints])).length
        await expect.poll(shown).toBe(index + 1)
      }
    await (await createHandler(open(schema), { secret: fresh })).close()
    expect(errors).toEqual([])
  })
})

test('any of the servers keeps the log in Postgres to its maximum age and number', async () => {
  const schema = newSchema()
  const [a, b] = [await postgresJournal(besideOf(open(schema))), await postgresJournal(besideOf(open(schema)))]
  const entries = Array.from({ length: 50 }, (_, at) => ({ at, kind: 'grant' as const, key: `${at}` }))
  await Promise.all([a.append(entries), b.append(entries)])
  await Promise.all([a, b].map((journal) => journal.trim(100, { age: 60, entries: 10, refusals: 1 })))
  expect((await a.query({ limit: 1_000 })).map(({ at }) => at).every((at) => at >= 40)).toBe(true)
  expect(await b.size()).toBe(10)
})

test('characters that Postgres cannot store are replaced in a log entry, so that no client can stop the log', async () => {
  const journal = await postgresJournal(besideOf(open()))
  await journal.append([{ at: 1, kind: 'refusal', key: 'a\0b', why: 'half \ud800' }])
  expect(await journal.query({ key: 'a\0b', limit: 1 })).toMatchObject([{ key: 'a\ufffdb', why: 'half \ufffd' }])
  await expect(journal.bind(['a\0b'], 'owner', 1)).rejects.toMatchObject({ code: 'invalid' })
})

test('a database user who may not create tables can use tables that another user has created', async () => {
  const { postgresSchema } = await import('../../src/stores/postgres.ts')
  const { postgresServerSchema } = await import('../../src/server/index.ts')
  const schema = newSchema()
  const s = `"${schema.replaceAll('"', '""')}"`
  const admin = open(schema)
  const role = `limited_${process.pid}`
  await besideOf(admin).query(
    `${postgresSchema(schema)}; ${postgresServerSchema(schema)}; DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role} LOGIN;
     GRANT USAGE ON SCHEMA ${s} TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s} TO ${role}`,
  )
  const [{ port }] = await besideOf(admin).query(`SELECT current_setting('port') AS port`)
  const { postgresStore } = await import('../../src/stores/postgres.ts')
  const pool = new pg.Pool({ connectionString: `postgres://${role}@127.0.0.1:${port}/postgres`, max: 4 })
  atEnd({ close: () => pool.end() })
  const client = new Client(await handlerOf(atEnd(postgresStore(pool, { schema })), { secret }), 'c')
  expect((await client.take('s')).outcomes[1]).toMatchObject({ type: 'granted' })
  expect(await logOf(client)).toEqual(['grant'])
})
