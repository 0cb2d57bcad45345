import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { dropsFrom } from '../../src/server/journal/shares.ts'
import { sqliteJournal } from '../../src/server/journal/sqlite.ts'
import type { NewEntry } from '../../src/server/journal.ts'
import type { LogEntry, LogReply } from '../../src/server/wire.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { journals, newFile } from './journals.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const entriesOf = async (client: Client, query = ''): Promise<readonly LogEntry[]> =>
  (await client.get<LogReply>(`/v1/log?limit=1000${query}`)).entries

const makers = journals()

describe.each(Object.entries(makers))('the log in %s', (_, make) => {
  const of = (who: string, count: number, kind: NewEntry['kind'] = 'grant'): NewEntry[] =>
    Array.from({ length: count }, (_, n) => ({ at: n, kind, key: `${who}/${n}`, who }))

  test('keeps attempts separate from the history, but numbers both together', async () => {
    const journal = atEnd(await make())
    await journal.append([...of('a', 3), ...of('b', 50, 'refusal'), ...of('b', 50, 'renewal-failure'), ...of('a', 1)])
    await journal.trim(0, { age: 1_000, entries: 10, refusals: 20 })
    const kinds = (await journal.query({ limit: 1_000 })).map(({ kind }) => kind)
    expect(kinds).toEqual(['grant', ...Array.from({ length: 20 }, () => 'renewal-failure'), 'grant', 'grant', 'grant'])
    const page = await journal.query({ limit: 2 })
    expect((await journal.query({ limit: 30, before: page[1]?.id })).length).toBe(22)
  })

  test('drops the oldest entries of the clients with the most entries, and none of the others', async () => {
    const journal = atEnd(await make())
    await journal.append([...of('quiet', 30), ...of('loud', 5_000), ...of('louder', 9_000)])
    await journal.trim(0, { age: 1_000_000, entries: 2_030, refusals: 10 })
    const left = await Promise.all(['quiet', 'loud', 'louder'].map(async (who) => await journal.query({ limit: 5_000, prefix: `${who}/` })))
    expect(left.map((entries) => entries.length)).toEqual([30, 1_000, 1_000])
    expect(left.map(([newest]) => newest?.key)).toEqual(['quiet/29', 'loud/4999', 'louder/8999'])
  })

  test('finds entries across several reading steps, whatever the query', async () => {
    const journal = atEnd(await make())
    await journal.append([...of('a', 5), ...of('b', 4_000), ...of('a', 5), { at: 9_000, kind: 'steal', key: 'b/1', who: 'b' }])
    const found = async (query: object, prefixes?: string[]) => (await journal.query({ limit: 10_000, ...query }, prefixes)).length
    expect(await found({})).toBe(4_011)
    expect(await found({ key: 'a/1' })).toBe(2)
    expect(await found({ key: 'b/1', kind: 'steal' })).toBe(1)
    expect(await found({ kind: 'steal' })).toBe(1)
    expect(await found({ prefix: 'b/' })).toBe(4_001)
    expect(await found({ prefix: 'a/' }, ['b/'])).toBe(0)
    expect(await found({}, ['a/', 'b/1'])).toBe(10 + 1_112)
    expect(await found({ since: 3_990 })).toBe(11)
    expect(await found({ until: 2 })).toBe(9)
  })
})

test('the clients with the most entries are cut down to the same number', () => {
  const shares = new Map([...Object.entries({ a: 10, b: 6, c: 1 })])
  expect([...dropsFrom(shares, 3)]).toEqual([['a', 3]])
  expect([...dropsFrom(shares, 7)]).toEqual([
    ['a', 6],
    ['b', 1],
  ])
  expect([...dropsFrom(shares, 17).values()].reduce((sum, one) => sum + one, 0)).toBe(17)
})

test('no query of the log scans more than one step without an index', async () => {
  const file = newFile()
  const db = new Database(file)
  const asked: string[] = []
  const spy = Object.assign(Object.create(db), {
    exec: (sql: string) => db.exec(sql),
    close: () => db.close(),
    prepare: (sql: string) => {
      asked.push(sql)
      return db.prepare(sql)
    },
  })
  const journal = atEnd(await sqliteJournal(spy))
  await journal.append(Array.from({ length: 3_000 }, (_, n): NewEntry => ({ at: n, kind: n % 2 ? 'grant' : 'release', key: `k${n}`, who: 'a' })))
  asked.length = 0
  const base = { limit: 10, since: 5, until: 9_000 }
  for (const query of [
    base,
    { ...base, key: 'k1' },
    { ...base, kind: 'steal' as const },
    { ...base, kind: 'refusal' as const },
    { ...base, prefix: 'k1' },
  ])
    for (const prefixes of [undefined, ['k'], ['k12', 'x']]) await journal.query({ ...query, before: 2_900 }, prefixes)
  await journal.trim(5_000, { age: 1_000, entries: 500, refusals: 10 })
  expect(asked.length).toBeGreaterThan(10)
  for (const sql of new Set(asked)) {
    const values = Array.from({ length: sql.split('?').length - 1 }, () => 1)
    const plan = (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[]).map(({ detail }) => detail)
    // Scanning a subquery is fine, since the subquery has its own limit.
    expect([sql, plan.filter((detail) => /^SCAN storelock_log$/.test(detail))]).toEqual([sql, []])
  }
})

test('a flood of refusals and failed renewals does not touch the history: few entries are kept, with the number left out', async () => {
  const token = (name: string): string => `${name}-0123456789abcdef0123456789`
  const clients = ['good', 'bad', 'boss'].map((name) => ({
    name,
    token: token(name),
    prefixes: [name === 'boss' ? '' : `${name}/`],
    admin: name === 'boss',
  }))
  const handler = await handlerOf(atEnd(sqliteStore(newFile())), { clients, log: { entries: 1_000, refusals: 100 } })
  const [good, bad, boss] = ['good', 'bad', 'boss'].map((name) => new Client(handler, name, token(name))) as [Client, Client, Client]
  await good.take('s', 'good/1')
  const forged = { type: 'release', key: 'good/1', session: 's', token: 1 } as const
  const stale = { type: 'beat', session: 'none', client: 'c', lease: 1_000 } as const
  for (let n = 0; n < 20; n++) await bad.apply(...Array.from({ length: 250 }, () => [forged, stale]).flat())
  for (let n = 0; n < 100; n++) await new Client(handler, 'x', 'nobody-0123456789abcdef', '192.0.2.9').fetch('/v1/locks')
  const attempts = await entriesOf(boss, '&kind=refusal')
  expect(attempts.length).toBeLessThan(200)
  expect((await entriesOf(boss, '&key=good/1&kind=grant')).length).toBe(1)
  // Each entry says how many were left out since the one before.
  const isKept = async (): Promise<boolean> => {
    await bad.apply(forged)
    sent++
    return ((await entriesOf(boss, '&kind=refusal'))[0]?.omitted ?? 0) > 0
  }
  let sent = 20 * 250
  for (const end = performance.now() + 20_000; !(await isKept()); ) expect(performance.now()).toBeLessThan(end)
  const kept = (await entriesOf(boss, '&kind=refusal')).filter(({ who }) => who === 'bad')
  expect(kept.reduce((sum, { omitted = 0 }) => sum + 1 + omitted, 0)).toBe(sent)
})

test('long fields of an entry are cut, and the entry is still found by its long key', async () => {
  const handler = await handlerOf(atEnd(sqliteStore(newFile())))
  const client = new Client(handler, 'a')
  const [one, two] = ['1', '2'].map((end) => 'é'.repeat(1_500) + end) as [string, string]
  await client.apply(beat('s'), request('s', one, 1), request('s', two, 2))
  const [entry, ...more] = await entriesOf(client, `&key=${encodeURIComponent(one)}`)
  expect([entry?.kind, (entry?.key.length ?? 0) < 420, more]).toEqual(['grant', true, []])
  const named = new Client(handler, 'a')
  named.headers.host = `${'x'.repeat(10_000)}.example`
  expect((await named.fetch('/v1/locks')).status).toBe(403)
  expect((await entriesOf(client, '&kind=refusal'))[0]?.why?.length).toBeLessThan(210)
})

test('while the log cannot be written no lock is granted, and holders can keep, renew and release their locks', async () => {
  const file = newFile()
  const store = atEnd(sqliteStore(file))
  const faults: unknown[] = []
  const handler = await handlerOf(store, { onError: (error) => faults.push(error) })
  const client = new Client(handler, 'a')
  const [held] = (await client.take('s', 'held')).lockTokens
  const db = atEnd(new Database(file))
  db.exec('ALTER TABLE storelock_log RENAME TO away')
  const refused = { type: 'failed', code: 'store', message: expect.stringContaining('while the log cannot be written') }
  // The first request finds that the log cannot be written, and the second gets that error.
  expect((await client.apply(request('s', 'first', 2))).outcomes).toMatchObject([refused])
  expect((await client.apply(request('s', 'second', 3))).outcomes).toMatchObject([refused])
  expect((await store.read('first'))?.holders).toEqual([])
  const { token, lockToken } = held as { token: number; lockToken: string }
  const grip = { key: 'held', session: 's', token, lockToken }
  expect((await client.apply(beat('s'), { type: 'renew', ...grip })).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'renewed' }])
  expect((await client.apply({ type: 'release', ...grip })).outcomes).toMatchObject([{ type: 'done' }])
  expect(faults).toHaveLength(1)
  db.exec('ALTER TABLE away RENAME TO storelock_log')
  let asked = 4
  const granted = async (): Promise<boolean> => {
    await new Promise((resolve) => setImmediate(resolve))
    return (await client.apply(request('s', 'third', asked++))).outcomes[0]?.type === 'granted'
  }
  for (const end = performance.now() + 20_000; !(await granted()); ) expect(performance.now()).toBeLessThan(end)
  expect((await entriesOf(client, '&key=held')).map(({ kind }) => kind)).toEqual(['release', 'grant'])
})

test('a server whose log is not `required` grants even if the log cannot be written', async () => {
  const file = newFile()
  const handler = await handlerOf(atEnd(sqliteStore(file)), { log: { required: false }, onError: () => {} })
  atEnd(new Database(file)).exec('DROP TABLE storelock_log')
  expect((await new Client(handler, 'a').take('s')).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
})
