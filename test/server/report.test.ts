import { expect, test } from 'vitest'
import { type ReportLevel, serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const clients = [{ name: 'app', token: '0123456789abcdef0123456789abcdef' }]

async function world(level: ReportLevel, store: Store = memoryStore()) {
  const lines: string[] = []
  const report = { level, write: (line: string) => void lines.push(line) }
  const handler = await handlerOf(store, { clients, report })
  return { handler, lines, told: () => lines.map((line) => JSON.parse(line)), app: new Client(handler, 'the-key-of-the-app', clients[0]?.token) }
}

test('each request is a JSON line with a level: debug if it succeeded, warn if it was refused, error if the server failed', async () => {
  const store = memoryStore()
  let broken = false
  const { app, told, handler } = await world('debug', {
    ...store,
    read: async (key) => {
      if (broken) throw new TypeError('broken')
      return await store.read(key)
    },
  })
  await app.fetch('/v1/locks/k?x=1')
  await new Client(handler, 'a').fetch('/v1/locks/k')
  broken = true
  await app.fetch('/v1/locks/k')
  expect(told()).toMatchObject([
    { level: 'debug', event: 'request', method: 'GET', path: '/v1/locks/k', status: 200, client: 'app', address: '192.0.2.7' },
    { level: 'warn', event: 'request', status: 401, why: 'the bearer token is missing or unknown' },
    { level: 'error', event: 'fault', message: 'broken' },
    { level: 'error', event: 'request', status: 500 },
  ])
  for (const line of told()) expect(Date.parse(line.at)).toBeGreaterThan(0)
})

test('lines below the configured level are left out', async () => {
  const { app, lines } = await world('warn')
  await app.fetch('/v1/locks')
  expect(lines).toEqual([])
})

test('a line never contains a bearer token, client key, lockToken, query or body', async () => {
  const { app, lines } = await world('debug')
  const { lockTokens } = await app.apply(beat('s'), { ...request('s'), metadata: 'a secret of the body' })
  await app.post('/v1/verify', { key: 'k', lockToken: lockTokens[0]?.lockToken })
  await app.fetch('/v1/locks?prefix=a-secret-of-the-query')
  expect(lines).toHaveLength(3)
  const secrets = [clients[0]?.token, 'the-key-of-the-app', lockTokens[0]?.lockToken, 'a secret of the body', 'a-secret-of-the-query']
  for (const secret of secrets) expect(lines.join('\n')).not.toContain(secret)
})

test('whatever a stranger sends, a line is one line of harmless characters with a maximum length', async () => {
  const lines: string[] = []
  const report = { level: 'debug' as const, write: (line: string) => void lines.push(line) }
  const handler = await handlerOf(memoryStore(), { report })
  const stranger = new Client(handler, 'a', undefined, 'an\u001b[31m\u009baddress\u2028of\u202ea proxy\n')
  await stranger.fetch('/v1/locks/%1b%9b%0a')
  await stranger.fetch(`/${'x'.repeat(5_000)}`)
  for (const line of lines) {
    expect(line).toMatch(/^[\x20-\x7e…]*$/)
    expect(line.length).toBeLessThan(1_500)
  }
  expect(JSON.parse(lines[0] as string).address).toBe('an\u001b[31m\u009baddress\u2028of\u202ea proxy\n')
})

test('a flood of refused requests is reported now and then, with the number left out', async () => {
  const { handler, told } = await world('warn')
  const stranger = new Client(handler, 'a')
  const begun = performance.now()
  for (let sent = 0; sent < 300; sent++) await stranger.fetch('/v1/locks')
  expect(told().length).toBeLessThan(45 + ((performance.now() - begun) / 1_000) * 20)
  await new Promise((resolve) => setTimeout(resolve, 120))
  await stranger.fetch('/v1/locks')
  const left = told().reduce((sum, { leftOut = 0 }) => sum + leftOut, 0)
  expect(told().length + left).toBe(301)
})

test('batches over a socket are reported like all other requests', async () => {
  const lines: string[] = []
  const server = atEnd(await serve(memoryStore(), { report: { level: 'debug', write: (line) => void lines.push(line) } }))
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"commands":[]}' }
  await (await fetch(`${server.url}/v1/apply`, init)).json()
  expect(JSON.parse(lines[0] as string)).toMatchObject({ level: 'debug', path: '/v1/apply', status: 200, address: '127.0.0.1' })
})
