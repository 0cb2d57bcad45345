import { createHash } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { type ClientCredential, createHandler } from '../../src/server/index.ts'
import type { LogReply, VerifyReply, WireCommand } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, Client, handlerOf, request } from './world.ts'

const token = (name: string): string => `${name}-7Qm3xZ0aWkT9vB5nR2cY8d`
const hex = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A server with a client for each name, with these rights. */
async function world(rights: Record<string, Partial<ClientCredential>>) {
  const clients = Object.entries(rights).map(([name, more]) => ({ name, token: token(name), ...more }))
  const handler = await handlerOf(memoryStore(), { clients })
  return { handler, clients, client: (name: string) => new Client(handler, name, token(name)) }
}

test.each<[string, readonly ClientCredential[], string]>([
  ['an empty list', [], 'the list of clients is empty'],
  ['a token of two clients', ['a', 'b'].map((name) => ({ name, token: token('one') })), 'a and b have the same token'],
  [
    'the hash of another’s token',
    [
      { name: 'a', token: token('one') },
      { name: 'b', token: `sha256:${hex(token('one'))}` },
    ],
    'a and b have the same token',
  ],
  ['30 hex digits', [{ name: 'a', token: '0123456789abcdef0123456789abcd' }], 'at most 120 bits'],
  ['21 characters of base64url', [{ name: 'a', token: 'aB3-xZ0aWkT9vB5nR2cY8' }], 'at most 126 bits'],
  ['one character many times', [{ name: 'a', token: 'x'.repeat(64) }], 'is not random'],
  ['a token with spaces', [{ name: 'a', token: 'a token of several words that is long enough' }], 'cannot go in a header'],
  ['an invalid hash', [{ name: 'a', token: 'sha256:abc' }], 'there must be 64 hex digits'],
  ['an expiry that is not a date', [{ name: 'a', token: token('a'), expires: 'next week' }], 'is not like 2027-01-31'],
])('%s is refused with a message that contains no token', async (_, clients, message) => {
  const refused = await createHandler(memoryStore(), { clients }).catch((error) => error)
  expect(refused).toMatchObject({ code: 'invalid', message: expect.stringContaining(message) })
  for (const client of clients) expect(refused.message).not.toContain(client.token)
})

test('tokens of 32 hex digits or 22 base64url characters are long enough', async () => {
  for (const strong of ['0123456789abcdef0123456789abcdef', 'aB3-xZ0aWkT9vB5nR2cY8d'])
    await handlerOf(memoryStore(), { clients: [{ name: 'a', token: strong }] })
})

test('the list may have the hash of a token, and the hash itself is not accepted as a token', async () => {
  const handler = await handlerOf(memoryStore(), { clients: [{ name: 'a', token: `sha256:${hex(token('a'))}` }] })
  const statusOf = async (shown: string): Promise<number> => (await new Client(handler, 'a', shown).fetch('/v1/locks')).status
  expect([await statusOf(token('a')), await statusOf(hex(token('a'))), await statusOf(`sha256:${hex(token('a'))}`)]).toEqual([200, 401, 401])
})

test('stealing is a separate right, which by default only an admin has', async () => {
  const { client } = await world({ plain: {}, thief: { steal: true }, boss: { admin: true }, meek: { admin: true, steal: false } })
  await client('plain').take('s')
  const steal = async (name: string): Promise<string | undefined> => {
    const session = `s-${name}`
    const { outcomes } = await client(name).apply(beat(session), { ...request(session), steal: true })
    return outcomes[1]?.type
  }
  expect([await steal('plain'), await steal('meek'), await steal('thief'), await steal('boss')]).toEqual(['failed', 'failed', 'granted', 'granted'])
})

test('asking holders to release is a separate right', async () => {
  const { client } = await world({ plain: {}, mute: { ask: false } })
  await client('plain').take('s')
  const ask = async (name: string, session: string) =>
    (await client(name).apply(beat(session), { ...request(session), ask: { message: 'please' } })).outcomes[1]
  expect(await ask('mute', 's-mute')).toMatchObject({ type: 'failed', message: expect.stringContaining('`ask`') })
  expect(await ask('plain', 's-2')).toMatchObject({ type: 'queued' })
})

test('a read-only client can read, listen and verify, and change nothing', async () => {
  const { client } = await world({ plain: {}, reader: { readOnly: true }, watch: { readOnly: true, admin: true } })
  const [ticket] = (await client('plain').take('s')).lockTokens
  const reader = client('reader')
  for (const path of ['/v1/locks', '/v1/locks/k', '/v1/log', '/v1/events?topic=news']) expect((await reader.fetch(path)).status).toBe(200)
  const verified = await (await reader.post('/v1/verify', { key: 'k', lockToken: ticket?.lockToken })).json()
  expect(verified as VerifyReply).toMatchObject({ valid: true })
  expect((await reader.post('/v1/apply', { commands: [], sender: 'one', topics: ['news'] })).status).toBe(200)
  const writes: WireCommand[] = [beat('r'), { type: 'revoke', key: 'k' }, { type: 'sweep', key: 'k' }, { type: 'challenge', session: 's' }]
  for (const name of ['reader', 'watch'])
    for (const command of writes) expect((await client(name).post('/v1/apply', { commands: [command] })).status).toBe(403)
  expect((await reader.post('/v1/publish', { messages: [] })).status).toBe(403)
  expect((await client('watch').fetch('/metrics')).status).toBe(200)
})

test('a credential is valid until it expires, and its streams end then', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'], now: Date.parse('2027-01-30T23:59:00Z') })
  try {
    const { client } = await world({ guest: { expires: '2027-01-31' }, boss: { admin: true } })
    const stream = await client('guest').fetch('/v1/events?topic=news')
    expect((await client('guest').take('s')).outcomes).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
    vi.setSystemTime(Date.parse('2027-01-31T00:00:00Z'))
    const late = await client('guest').fetch('/v1/locks')
    expect([late.status, await late.json()]).toEqual([
      401,
      { error: { code: 'unauthorized', message: 'the credential of client guest has expired' } },
    ])
    vi.advanceTimersByTime(15_000)
    expect(await new Response(stream.body).text()).toContain('event: open')
    const { entries } = await client('boss').get<LogReply>('/v1/log?kind=refusal')
    expect(entries).toMatchObject([{ why: 'the credential of client guest has expired' }])
  } finally {
    vi.useRealTimers()
  }
})

test('a reload of the clients lets in new ones, ends the streams of removed or changed ones, and keeps sessions and locks', async () => {
  const { handler, clients, client } = await world({ stays: {}, goes: {}, changes: {} })
  const { lockTokens } = await client('stays').take('s')
  const streams = await Promise.all(['stays', 'goes', 'changes'].map((name) => client(name).fetch('/v1/events?topic=news')))
  const [stays, , changes] = clients as [ClientCredential, ClientCredential, ClientCredential]
  handler.reload({ clients: [stays, { ...changes, prefixes: ['c/'] }, { name: 'comes', token: token('comes') }] })
  for (const gone of streams.slice(1)) expect(await new Response(gone.body).text()).toContain('event: open')
  const statuses = await Promise.all(['stays', 'goes', 'changes', 'comes'].map(async (name) => (await client(name).fetch('/v1/locks')).status))
  expect(statuses).toEqual([200, 401, 200, 200])
  const { token: fencing, lockToken } = lockTokens[0] as { token: number; lockToken: string }
  const release: WireCommand = { type: 'release', key: 'k', session: 's', token: fencing, lockToken }
  expect((await client('stays').apply(release)).outcomes).toMatchObject([{ type: 'done' }])
  // The stream of the unchanged client is still open.
  const reader = ((streams[0] as Response).body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  await client('comes').post('/v1/publish', { messages: [{ topic: 'news', message: { text: 'hello' } }] })
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('hello')
})

test('an invalid list of clients changes nothing on a running server', async () => {
  const { handler, client } = await world({ a: {} })
  expect(() => handler.reload({ clients: [] })).toThrow('the list of clients is empty')
  expect(() => handler.reload({ clients: [{ name: 'b', token: 'short' }] })).toThrow('at most')
  expect((await client('a').fetch('/v1/locks')).status).toBe(200)
  const open = await handlerOf(memoryStore())
  expect(() => open.reload({ clients: [{ name: 'b', token: token('b') }] })).toThrow('restart it')
})
