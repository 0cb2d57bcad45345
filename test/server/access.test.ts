import { expect, test } from 'vitest'
import { createHandler, type HandlerOptions, serve } from '../../src/server/index.ts'
import type { ListReply, LogReply } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, Client, handlerOf, request } from './world.ts'

const clients = [
  { name: 'app', token: 'the-token-of-the-app-0123456789', prefixes: ['app/'] },
  { name: 'boss', token: 'the-token-of-the-boss-0123456789', admin: true },
]

async function world(options: HandlerOptions = { clients }) {
  const handler = await handlerOf(memoryStore(), options)
  const client = (token?: string) => new Client(handler, 'a', token)
  return { handler, client, app: client('the-token-of-the-app-0123456789'), boss: client('the-token-of-the-boss-0123456789') }
}

test('requests without a known credential are refused', async () => {
  const { client } = await world()
  for (const token of [undefined, 'another-token-of-nobody']) {
    const response = await client(token).fetch('/v1/locks')
    expect([response.status, await response.json()]).toMatchObject([401, { error: { code: 'unauthorized' } }])
  }
  expect((await client().fetch('/healthz')).status).toBe(200)
})

test('a credential with prefixes can use, list and see only the keys under them', async () => {
  const { app, boss } = await world()
  await boss.take('s-boss', 'private')
  const { outcomes } = await app.apply(beat('s-app'), request('s-app', 'private'), request('s-app', 'app/k'))
  expect(outcomes).toMatchObject([{ type: 'beaten' }, { type: 'failed', code: 'invalid' }, { type: 'granted' }])
  expect((await app.fetch('/v1/locks/private')).status).toBe(403)
  expect((await app.get<ListReply>('/v1/locks')).locks.map(({ key }) => key)).toEqual(['app/k'])
  expect((await app.get<LogReply>('/v1/log')).entries.map(({ key }) => key)).toEqual(['app/k'])
})

test('taking locks from other clients, pinning and sweeping need an admin', async () => {
  const { app, boss } = await world()
  await app.take('s', 'app/k')
  const revoke = { type: 'revoke' as const, key: 'app/k' }
  expect((await app.apply(revoke, { type: 'pin', key: 'app/k', entity: 'e' })).outcomes).toMatchObject([{ type: 'failed' }, { type: 'failed' }])
  expect((await boss.apply(revoke)).outcomes).toMatchObject([{ type: 'done' }])
})

test('a session belongs to its credential: the client key alone is not enough', async () => {
  const { app, boss } = await world()
  await app.take('s', 'app/k')
  expect((await boss.apply(beat('s'))).outcomes).toMatchObject([{ type: 'ended' }])
})

test('a page that calls the server by a foreign host name is refused', async () => {
  const { client } = await world({})
  const one = client()
  one.headers.host = 'evil.example'
  expect((await one.fetch('/v1/locks')).status).toBe(403)
  one.headers.host = '127.0.0.1:7420'
  expect((await one.fetch('/v1/locks')).status).toBe(200)
})

test('pages of other sites are refused unless they are allowed', async () => {
  const { client } = await world({ origins: ['https://app.example'] })
  const from = (origin: string, method = 'GET') => client().fetch('/v1/locks', { method, headers: { origin } })
  expect((await from('https://evil.example')).status).toBe(403)
  const allowed = await from('https://app.example')
  expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, 'https://app.example'])
  const preflight = await from('https://app.example', 'OPTIONS')
  expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, 'authorization, content-type, storelock-client'])
})

test('a server that other machines can reach needs credentials', async () => {
  await expect(serve(memoryStore(), { host: '0.0.0.0' })).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('give `clients`'),
  })
})

test('a duplicate name, an unknown limit and a short secret are refused', async () => {
  for (const options of [{ clients: [...clients, ...clients] }, { limits: { rate: 0 } }, { secret: 'short' }]) {
    await expect(createHandler(memoryStore(), options)).rejects.toMatchObject({ code: 'invalid' })
  }
})

test('malformed requests are refused with a message that says what is wrong', async () => {
  const { client } = await world({})
  const bad = [
    { commands: [{ type: 'request' }] },
    { commands: [{ ...beat('s'), beacon: '/tmp/x' }] },
    { commands: [{ type: 'sweep', key: 'x'.repeat(5_000) }] },
    { commands: [{ ...request('s'), metadata: 'x'.repeat(20_000) }] },
    { commands: [{ ...request('s'), metadata: JSON.parse(`${'['.repeat(65)}${']'.repeat(65)}`) }] },
    { commands: Array.from({ length: 1_001 }, () => ({ type: 'sweep', key: 'k' })) },
    { commands: [], more: 1 },
    [],
  ]
  for (const body of bad) {
    const response = await client().post('/v1/apply', body)
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'invalid' } }])
  }
  expect((await client().fetch('/v1/apply', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })).status).toBe(400)
  const deep = JSON.stringify({ commands: [{ ...request('s'), ask: 'deep' }] }).replace('"deep"', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)
  expect((await client().fetch('/v1/apply', { method: 'POST', body: deep, headers: { 'content-type': 'application/json' } })).status).toBe(400)
  expect((await client().post('/v1/apply', { commands: [], sender: 'x'.repeat(2_000_000) })).status).toBe(413)
  expect((await client().fetch('/v2')).status).toBe(404)
})

test('text that is shown to people has a maximum length and no control characters', async () => {
  const { client } = await world({})
  const statusOf = async (command: object): Promise<number> => (await client().post('/v1/apply', { commands: [command] })).status
  const bad = ['\u001b[2J', 'a\nb', '\u202egnp.exe', 'x'.repeat(2_000)]
  for (const text of bad) {
    expect(await statusOf({ ...beat('s'), label: text })).toBe(400)
    expect(await statusOf({ ...beat('s'), client: text })).toBe(400)
    expect(await statusOf({ type: 'pin', key: 'k', entity: text })).toBe(400)
  }
  expect(await statusOf({ ...beat('s'), label: 'Büro 3, 東京 🗼' })).toBe(200)
})

test('errors in a body are described briefly, however many unknown keys it has', async () => {
  const { client } = await world({})
  const unknown = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`unknown-${n}`, n]))
  for (const body of [
    { commands: [], ...unknown },
    { commands: [{ ...beat('s'), ...unknown }] },
    { commands: Array.from({ length: 900 }, () => ({})) },
  ]) {
    const response = await client().post('/v1/apply', body)
    const text = await response.text()
    expect([response.status, text.length < 700]).toEqual([400, true])
  }
  expect((await (await client().post('/v1/verify', unknown)).text()).length).toBeLessThan(700)
})

test('a forged lockToken is counted, whichever request presents it', async () => {
  const { client } = await world({})
  await client().take('s')
  const { lockTokens } = await client().take('t', 'other')
  const forged = lockTokens[0]?.lockToken.replace(/.$/, (end) => (end === 'A' ? 'B' : 'A')) as string
  await client().post('/v1/verify', { key: 'other', lockToken: forged })
  await client().apply({ type: 'release', key: 'other', session: 't', token: lockTokens[0]?.token as number, lockToken: forged })
  expect(await (await client().fetch('/metrics')).text()).toMatch(/^storelock_refusals_total\{kind="lockToken"\} 2$/m)
})

test('too many places in queues are refused', async () => {
  const { client } = await world({ limits: { waiters: 1 } })
  await client().take('s')
  expect((await client().apply(request('s', 'k', 2))).outcomes).toMatchObject([{ type: 'queued' }])
  const { outcomes, lockTokens } = await client().apply(request('s', 'k', 3))
  expect([outcomes, lockTokens]).toMatchObject([[{ type: 'failed', code: 'invalid' }], []])
})

test('too many requests are refused for a while', async () => {
  const { client } = await world({ limits: { rate: 1 } })
  let response = await client().fetch('/v1/locks')
  while (response.status === 200) response = await client().fetch('/v1/locks')
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
})

test('the OpenAPI description has all routes', async () => {
  const { client } = await world()
  const { paths } = await client().get<{ paths: object }>('/openapi.json')
  expect(Object.keys(paths)).toEqual([
    ...['/v1/apply', '/v1/locks/{key}', '/v1/locks', '/v1/events', '/v1/publish', '/v1/verify', '/v1/log', '/v1/acquire', '/v1/renew', '/v1/release'],
    ...['/healthz', '/livez', '/version', '/readyz', '/metrics'],
  ])
})

test('only an admin can read the figures', async () => {
  const { app, boss } = await world()
  expect((await app.fetch('/metrics')).status).toBe(403)
  expect(await (await boss.fetch('/metrics')).text()).toContain('storelock_waiters 0')
})

test('a flood of requests with unknown credentials is refused before it is logged, and does not fill the log', async () => {
  const { client, boss } = await world({ clients, limits: { rate: 100 } })
  let response = await client('another-token-of-nobody').fetch('/v1/locks')
  while (response.status === 401) response = await client('another-token-of-nobody').fetch('/v1/locks')
  expect(response.status).toBe(429)
  const { entries } = await boss.get<LogReply>('/v1/log?kind=refusal&limit=1000')
  expect(entries.length).toBeGreaterThan(0)
  expect(entries.length).toBeLessThan(150)
})

test('a client with prefixes gets a full page of its own log entries, however many others came later', async () => {
  const { app, boss } = await world()
  await app.take('s-app', 'app/k')
  await boss.apply(beat('s-boss'), ...Array.from({ length: 5 }, (_, n) => request('s-boss', `other/${n}`, n)))
  expect((await app.get<LogReply>('/v1/log?limit=1')).entries).toMatchObject([{ key: 'app/k', kind: 'grant' }])
})

test('the limit of places in queues holds within one batch, and for simultaneous batches', async () => {
  const { client } = await world({ limits: { waiters: 2 } })
  const one = client()
  await one.take('s')
  const [first, second] = await Promise.all([
    one.apply(request('s', 'k', 2), request('s', 'k', 3), request('s', 'k', 4)),
    one.apply(request('s', 'k', 5)),
  ])
  expect([...first.outcomes, ...second.outcomes].map(({ type }) => type).sort()).toEqual(['failed', 'failed', 'queued', 'queued'])
})

test('L3: locks are listed page by page', async () => {
  const { boss } = await world()
  await boss.apply(beat('s'), ...['c', 'a', 'b'].map((key, number) => request('s', key, number)))
  const page = async (query: string) => {
    const { locks, more } = await boss.get<ListReply>(`/v1/locks?limit=2${query}`)
    return [locks.map(({ key }) => key), more]
  }
  expect(await page('')).toEqual([['a', 'b'], true])
  expect(await page('&after=b')).toEqual([['c'], false])
})

test('a namespace’s policy applies to the lease and the label of a request’s session', async () => {
  const policies = { '': { maxDuration: 1_000, checkHolder: (label?: string) => (label === 'tab' ? undefined : 'only tabs') } }
  const { client } = await world({ policies })
  const say = (lease: number, label?: string) => ({ ...beat('s', lease), label }) as ReturnType<typeof beat>
  const tried = async (...commands: ReturnType<typeof beat>[]) => (await client().apply(...commands)).outcomes.map(({ type }) => type)
  expect(await tried(say(60_000, 'tab'), request('s'))).toEqual(['beaten', 'failed'])
  expect(await tried({ ...say(1_000), session: 't' } as never, request('t'))).toEqual(['beaten', 'failed'])
  expect(await tried({ ...say(1_000, 'tab'), session: 'u' } as never, request('u'))).toEqual(['beaten', 'granted'])
})

test('a session whose locks are under a policy cannot exceed it by a beat', async () => {
  const policies = { '': { maxDuration: 1_000 } }
  const { client } = await world({ policies })
  await client().apply(beat('s', 1_000), request('s'))
  expect((await client().apply(beat('s', 60_000))).outcomes).toMatchObject([{ type: 'failed', code: 'invalid' }])
})

test('an image or script request from a page of another site is refused', async () => {
  const handler = await handlerOf(memoryStore(), { clients })
  const client = new Client(handler, 'a', 'the-token-of-the-app-0123456789')
  const statusFor = async (site: string): Promise<number> => (await client.fetch('/v1/locks', { headers: { 'sec-fetch-site': site } })).status
  expect([await statusFor('cross-site'), await statusFor('same-origin'), await statusFor('none')]).toEqual([403, 200, 200])
})
