import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { LockHandler, ServerLimits } from '../../src/server/index.ts'
import type { ListReply, ReadReply, WireCommand } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const token = (name: string): string => `token-of-${name}`.padEnd(32, '-')

/** A server with two credentials and an operator. `client` makes a client with a credential and its own client key. */
async function world(limits: ServerLimits, store = memoryStore()) {
  const names = ['a', 'b', 'operator'].map((name) => ({ name, token: token(name), admin: name === 'operator' }))
  const handler = await handlerOf(store, { limits, clients: names })
  const client = (credential: string, key = 'key'): Client => new Client(handler, `${credential}-${key}`, token(credential))
  return { handler, store, client, figures: () => figuresOf(handler, client('operator')) }
}

async function figuresOf(_: LockHandler, operator: Client): Promise<string> {
  return await (await operator.fetch('/metrics')).text()
}

/** The message of each failed outcome, and the type of the others. */
const faults = ({ outcomes }: { outcomes: readonly { type: string; message?: string }[] }): string[] =>
  outcomes.map(({ type, message }) => (type === 'failed' ? (message ?? '') : type))

test('places in queues are counted by credential, however many client keys it uses', async () => {
  const { client, figures } = await world({ waiters: 3 })
  await client('b').take('s-b')
  const asked: string[] = []
  for (const key of ['1', '2', '3', '4', '5']) asked.push(...faults(await client('a', key).apply(beat(key), request(key))))
  expect(asked.filter((said) => said === 'queued')).toHaveLength(3)
  expect(asked.filter((said) => said.includes('more than 3 places in queues'))).toHaveLength(2)
  expect(await figures()).toContain('storelock_limited_total{limit="waiters"} 2')
})

test('held locks count, and locks that were released, ended or revoked do not', async () => {
  const { client } = await world({ held: 2 })
  const [a, operator] = [client('a'), client('operator')]
  const { lockTokens } = await a.apply(beat('s'), request('s', '1', 1), request('s', '2', 2))
  expect(faults(await a.apply(request('s', '3', 3)))).toEqual([expect.stringContaining('more than 2 locks held')])
  const { token, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  await a.apply({ type: 'release', key: '1', session: 's', token, lockToken })
  expect(faults(await a.apply(request('s', '3', 4)))).toEqual(['granted'])
  await operator.apply({ type: 'revoke', key: '3' })
  expect(faults(await a.apply(request('s', '4', 5)))).toEqual(['granted'])
  await a.apply({ type: 'end', session: 's' })
  expect(faults(await a.apply(beat('t'), request('t', '5', 1), request('t', '6', 2)))).toEqual(['beaten', 'granted', 'granted'])
})

test('metadata and release requests are counted in bytes, sessions and new keys one by one', async () => {
  const { client } = await world({ metadata: 100, sessions: 2, keys: 3 })
  const a = client('a')
  const long = { ...request('s', '1', 1), metadata: 'x'.repeat(60) }
  expect(faults(await a.apply(beat('s'), long, { ...long, key: '2', number: 2 }))).toEqual([
    'beaten',
    'granted',
    expect.stringContaining('100 bytes'),
  ])
  expect(faults(await a.apply(beat('t'), beat('u')))).toEqual(['beaten', expect.stringContaining('more than 2 sessions')])
  expect(faults(await a.apply(request('s', '2', 3), request('s', '3', 4)))).toEqual(['granted', 'granted'])
  expect(faults(await a.apply(request('s', '4', 5), request('t', '3', 1)))).toEqual([expect.stringContaining('more than 3 new keys'), 'queued'])
})

test('a credential gets only its share of one lock’s record, however many places it takes', async () => {
  const { client, figures } = await world({ record: 1_000 })
  const long = (session: string, number: number, key = 'k'): WireCommand => ({ ...request(session, key, number), metadata: 'x'.repeat(400) })
  const a = client('a')
  expect(faults(await a.apply(beat('s'), long('s', 1), long('s', 2), long('s', 3), long('s', 4, 'other')))).toEqual([
    ...['beaten', 'granted', 'queued'],
    expect.stringContaining('more than 1000 bytes of metadata and asks of this credential in one lock'),
    'granted',
  ])
  expect(faults(await client('b').apply(beat('t'), long('t', 1)))).toEqual(['beaten', 'queued'])
  await a.apply({ type: 'end', session: 's' })
  expect(faults(await a.apply(beat('u'), long('u', 1)))).toEqual(['beaten', 'queued'])
  expect(await figures()).toContain('storelock_limited_total{limit="record"} 1')
})

test('topics, senders and streams beyond the budget get 429, counted over all client keys of a credential', async () => {
  const { client, figures } = await world({ topics: 10, senders: 3, streams: 2 })
  const post = async (key: string, sender: string, topics: readonly string[]): Promise<number> =>
    (await client('a', key).post('/v1/apply', { commands: [], sender, topics })).status
  const many = (name: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${name}-${n}`)
  expect([await post('1', 'one', many('a', 6)), await post('2', 'two', many('b', 6)), await post('2', 'two', many('b', 4))]).toEqual([200, 429, 200])
  expect([await post('1', 'one', []), await post('3', 'three', many('c', 6)), await post('4', 'four', [])]).toEqual([200, 200, 429])
  const streams = [await client('a', '1').fetch('/v1/events?sender=one'), await client('a', '2').fetch('/v1/events?sender=two')]
  expect(streams.map(({ status }) => status)).toEqual([200, 200])
  const refused = await client('a', '3').fetch('/v1/events?sender=three')
  expect([refused.status, await refused.json()]).toEqual([429, { error: { code: 'too-many', message: expect.stringContaining('2 streams') } }])
  await streams[0]?.body?.cancel()
  expect((await client('a', '3').fetch('/v1/events?sender=three')).status).toBe(200)
  for (const limit of ['topics', 'senders', 'streams']) expect(await figures()).toContain(`storelock_limited_total{limit="${limit}"} 1`)
})

test.skipIf(process.platform === 'win32')('the topics of clients use no more sockets than the limit', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  // In the common folder, other tests open sockets at the same time.
  vi.stubEnv('TMPDIR', folder)
  const sockets = (): number => {
    const home = join(folder, `storelock-${process.geteuid?.()}`)
    return existsSync(home) ? readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSocket()).length : 0
  }
  const store = atEnd(sqliteStore(join(folder, 'app.db')))
  const handler = await handlerOf(store, { limits: { sockets: 20 } })
  const topics = Array.from({ length: 1_000 }, (_, n) => `topic-${n}`)
  for (const sender of ['1', '2', '3'])
    await new Client(handler, sender).post('/v1/apply', { commands: [], sender, topics: topics.map((topic) => sender + topic) })
  expect(sockets()).toBeGreaterThan(0)
  expect(sockets()).toBeLessThanOrEqual(20)
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

test('a batch’s answer has each key’s record once, in the last outcome, and leaves records out if it would be too long', async () => {
  const { client } = await world({ answer: 4_000, record: 1_000_000 })
  const a = client('a')
  const asks = Array.from({ length: 100 }, (_, n): WireCommand => ({ ...request('s', 'k', n), metadata: 'x'.repeat(1_000) }))
  const reply = await a.post('/v1/apply', { commands: [beat('s'), ...asks] })
  const text = await reply.text()
  const { outcomes } = JSON.parse(text) as { outcomes: { type: string; record?: object }[] }
  expect(outcomes.map(({ type }) => type)).toEqual(['beaten', 'granted', ...Array.from({ length: 99 }, () => 'queued')])
  expect(outcomes.findIndex(({ record }) => record)).toBe(100)
  const keys = Array.from({ length: 20 }, (_, n): WireCommand => ({ ...request('s', `k${n}`, 200 + n), metadata: 'x'.repeat(1_000) }))
  const many = (await (await a.post('/v1/apply', { commands: keys })).json()) as { outcomes: { type: string; record?: object }[] }
  expect(many.outcomes.every(({ type }) => type === 'granted')).toBe(true)
  expect(many.outcomes.filter(({ record }) => record).length).toBeLessThan(4)
})

test('a list that would be too long is cut, and continues after its last key; a single record that is too long gets 413', async () => {
  for (const store of [memoryStore(), atEnd(sqliteStore(':memory:'))]) {
    const handler = await handlerOf(store, { limits: { answer: 10_000 } })
    const a = new Client(handler, 'a')
    await a.apply(
      beat('s'),
      ...Array.from({ length: 50 }, (_, n): WireCommand => ({ ...request('s', `k${10 + n}`, n), metadata: 'x'.repeat(1_000) })),
    )
    const found: string[] = []
    for (let more = true; more; ) {
      const after = found.at(-1)
      const page = await a.get<ListReply>(`/v1/locks?prefix=k${after ? `&after=${after}` : ''}`)
      expect(page.locks.length).toBeLessThan(10)
      found.push(...page.locks.map(({ key }) => key))
      more = page.more
    }
    expect(found).toEqual(Array.from({ length: 50 }, (_, n) => `k${10 + n}`))
    await a.apply({ ...request('s', 'long', 100), metadata: 'x'.repeat(12_000) })
    const long = await a.fetch('/v1/locks/long')
    expect([long.status, await long.json()]).toEqual([413, { error: { code: 'too-long', message: expect.stringContaining('"long"') } }])
    expect((await a.get<ReadReply>('/v1/locks/k10')).lock?.key).toBe('k10')
  }
})
