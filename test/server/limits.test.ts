import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request as ask } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { type ServerLimits, serve } from '../../src/server/index.ts'
import { limitDefaults } from '../../src/server/options.ts'
import type { WireCommand } from '../../src/server/wire.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, beat, request, until } from './world.ts'

interface Row {
  readonly limit: string
  readonly fallback: number
  readonly beyond: string
}

/** The table of limits in the docs. */
const table = readFileSync('docs/lock-server.md', 'utf8').split('| limit | what it limits | default | beyond it |')[1]?.split('\n\n')[0] ?? ''
const rows = [...table.matchAll(/^\| `(\w+)` \| [^|]+ \| ([\d,]+)( [KM]iB)? \| ([^|]+) \|$/gm)].map(
  ([, limit = '', number = '', unit = '', beyond = '']): Row => {
    const of = { '': 1, ' KiB': 1_024, ' MiB': 1_048_576 }[unit] as number
    return { limit, fallback: Number(number.replaceAll(',', '')) * of, beyond }
  },
)

interface Answer {
  readonly status: number
  readonly body: { readonly error?: { code: string; message: string }; readonly outcomes?: { type: string; limit?: string }[] }
}

/** A server with one limit, and the tools of an attacker. */
async function world(limits: ServerLimits) {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const clients = ['attacker', 'operator'].map((name) => ({ name, token: `token-of-${name}`.padEnd(32, '-'), admin: name === 'operator' }))
  const { url } = atEnd(await serve(atEnd(sqliteStore(join(folder, 'locks.db'))), { clients, limits }))
  const agent = new Agent({ keepAlive: true })
  atEnd({ close: () => agent.destroy() })
  const headersOf = (name: string) => ({
    authorization: `Bearer token-of-${name}`.padEnd(39, '-'),
    'storelock-client': 'client-key-of-the-test',
    'content-type': 'application/json',
  })
  const send = (method: string, path: string, body?: unknown, more: object = {}, name = 'attacker'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = ask(url + path, { method, agent, headers: { ...headersOf(name), ...more } }, async (response) => {
        const said = await text(response)
        resolve({ status: response.statusCode ?? 0, body: said.startsWith('{') ? JSON.parse(said) : { text: said } })
      })
      asked.on('error', reject)
      asked.end(body === undefined ? undefined : JSON.stringify(body))
    })
  const apply = (...commands: WireCommand[]) => send('POST', '/v1/apply', { commands })
  const open = (): Socket => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    atEnd({ close: () => socket.destroy() })
    return socket.on('error', () => {})
  }
  const bearer = headersOf('attacker').authorization
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${bearer}\r\n\r\n`
  const stream = (topic: string): Promise<number> =>
    new Promise((resolve) => {
      ask(`${url}/v1/events?topic=${topic}`, { headers: headersOf('attacker') }, (response) => {
        atEnd({ close: () => response.destroy() })
        resolve(response.statusCode ?? 0)
      }).end()
    })
  const figures = async (): Promise<string> => ((await send('GET', '/metrics', undefined, {}, 'operator')).body as { text: string }).text
  return { send, apply, open, get, stream, figures }
}

type World = Awaited<ReturnType<typeof world>>

const many = (count: number, from = 0): WireCommand[] => Array.from({ length: count }, (_, n) => request('s', `k${from + n}`, from + n))
const long = (number: number, key = `k${number}`): WireCommand => ({ ...request('s', key, number), metadata: 'x'.repeat(2_000) })
const bodyOf = (sender: string, topics: readonly string[] = []) => ({ commands: [], sender, topics })
/** A refused answer among those to many simultaneous requests. */
const oneOf = async (answers: readonly Promise<Answer>[]): Promise<Answer> => {
  const all = await Promise.all(answers)
  return all.find(({ status }) => status >= 400) ?? (all[0] as Answer)
}

/** Sends requests for one lock. The first gets it, and the others wait. */
const waits = ({ send }: World): Promise<Answer>[] =>
  Array.from({ length: 6 }, () => send('POST', '/v1/acquire', { key: 'k', wait: 500, metadata: 'x'.repeat(1_000) }))

/** For each limit: a low value, and an attack that exceeds it. */
const attacks: Record<string, [number, (world: World) => Promise<unknown>]> = {
  held: [3, ({ apply }) => apply(beat('s'), ...many(4))],
  waiters: [3, ({ apply }) => apply(beat('s'), ...Array.from({ length: 5 }, (_, n) => request('s', 'k', n)))],
  metadata: [5_000, ({ apply }) => apply(beat('s'), long(1), long(2), long(3))],
  record: [5_000, ({ apply }) => apply(beat('s'), long(1, 'k'), long(2, 'k'), long(3, 'k'))],
  sessions: [2, ({ apply }) => apply(beat('s'), beat('t'), beat('u'))],
  keys: [
    2,
    async ({ apply }) => {
      await apply(beat('s'), ...many(2))
      return await apply(...many(1, 2))
    },
  ],
  senders: [2, ({ send }) => oneOf(['1', '2', '3'].map((sender) => send('POST', '/v1/apply', bodyOf(sender))))],
  topics: [3, ({ send }) => send('POST', '/v1/apply', bodyOf('1', ['1', '2', '3', '4']))],
  sockets: [2, async ({ send }) => expect((await send('POST', '/v1/apply', bodyOf('1', ['1', '2', '3']))).status).toBe(200)],
  streams: [
    1,
    async ({ stream, send }) => {
      expect(await stream('1')).toBe(200)
      return await send('GET', '/v1/events?topic=2')
    },
  ],
  pending: [2, (target) => oneOf(waits(target))],
  traffic: [3_000, (target) => oneOf(waits(target))],
  rate: [3, ({ send }) => oneOf(Array.from({ length: 30 }, () => send('GET', '/v1/log')))],
  answer: [
    1_000,
    async ({ apply, send }) => {
      await apply(beat('s'), long(1))
      return await send('GET', '/v1/locks/k1')
    },
  ],
  body: [1_000, ({ send }) => send('POST', '/v1/apply', { commands: [], sender: 'x'.repeat(2_000) })],
  headers: [2_000, ({ send }) => send('GET', '/v1/locks', undefined, { 'x-long': 'x'.repeat(4_000) })],
  batch: [3, ({ apply }) => apply(...many(4))],
  pipelined: [
    4,
    async ({ open, get }) => {
      const socket = open()
      socket.write(get('/v1/log').repeat(20))
      return await until(socket, (said) => said.includes('HTTP/1.1 429') && said.includes('pipelined'))
    },
  ],
  requestTimeout: [
    200,
    async ({ open }) => {
      const socket = open()
      socket.write('POST /v1/apply HTTP/1.1\r\nhost: localhost\r\n')
      return await until(socket, () => false)
    },
  ],
  buffer: [
    2_000,
    async ({ open, get, send }) => {
      const socket = open()
      socket.write(get('/v1/events?topic=t'))
      const heard = until(socket, () => false)
      const message = { text: 'x'.repeat(1_000) }
      // Faster than the stream is read.
      await send('POST', '/v1/publish', { messages: Array.from({ length: 100 }, () => ({ topic: 't', message })) })
      await heard
    },
  ],
  perAddress: [
    3,
    async ({ open }) => {
      const sockets = Array.from({ length: 6 }, open)
      await Promise.race(sockets.map((socket) => once(socket, 'close')))
      for (const socket of sockets) socket.destroy()
    },
  ],
  connections: [
    3,
    async ({ open }) => {
      const sockets = Array.from({ length: 6 }, open)
      await Promise.race(sockets.map((socket) => once(socket, 'close')))
      for (const socket of sockets) socket.destroy()
    },
  ],
}

test('the table in the docs has every limit with its default, and every limit has an attack here', () => {
  expect(Object.fromEntries(rows.map(({ limit, fallback }) => [limit, fallback]))).toEqual(limitDefaults)
  expect(Object.keys(attacks).sort()).toEqual(Object.keys(limitDefaults).sort())
})

test.each(rows)(
  'exceeding `$limit` gets $beyond and is counted',
  async ({ limit, beyond }) => {
    const [most, attack] = attacks[limit] as (typeof attacks)[string]
    const target = await world({ [limit]: most })
    const answer = await attack(target)
    if (beyond === '`failed`') {
      const { status, body } = answer as Answer
      expect([status, body.outcomes?.at(-1)]).toMatchObject([200, { type: 'failed', code: 'invalid', limit }])
    } else if (/4\d\d$/.test(beyond)) {
      const status = Number(beyond.slice(-3))
      const said = typeof answer === 'string' ? answer : JSON.stringify(answer)
      expect(typeof answer === 'string' ? Number(/HTTP\/1.1 (4\d\d)/.exec(answer)?.[1]) : (answer as Answer).status).toBe(status)
      expect(said).toContain(status === 429 ? 'too-many' : status === 400 ? 'invalid' : 'too-long')
    }
    let figures = ''
    // A client that had too many connections, or sent too many requests, is admitted again later.
    for (const end = performance.now() + 20_000; !figures.includes('storelock_') && performance.now() < end; )
      figures = (await target.figures().catch(() => '')) ?? ''
    const counted = beyond === 'dropped' ? 'storelock_connections_dropped_total [1-9]' : `storelock_limited_total\\{limit="${limit}"\\} [1-9]`
    expect(figures).toMatch(new RegExp(limit === 'batch' ? 'storelock_request_seconds_count\\{route="[^"]*",status="400"\\} 1' : counted))
  },
  60_000,
)
