import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { type LockServer, type ServeOptions, serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd, beat, request } from './world.ts'

const serveHere = async (options: ServeOptions = {}, store: Store = memoryStore()): Promise<LockServer> => atEnd(await serve(store, options))

const portOf = ({ url }: LockServer): number => Number(new URL(url).port)

/** Opens a bare connection and sends a text. */
function dial(server: LockServer, said: string): Socket {
  const socket = connect(portOf(server), '127.0.0.1', () => socket.write(said))
  socket.on('error', () => {})
  atEnd({ close: () => socket.destroy() })
  return socket
}

const head = (...headers: string[]): string =>
  [
    'POST /v1/apply HTTP/1.1',
    'host: localhost',
    'storelock-client: a-client-of-this-test',
    'content-type: application/json',
    ...headers,
    '',
    '',
  ].join('\r\n')

const bodyOf = (...commands: object[]): string => JSON.stringify({ commands })

test.each([
  ['its headers', 'POST /v1/apply HTTP/1.1\r\nhost: local'],
  ['its body', `${head('content-length: 100')}{"comm`],
])('a client that never completes %s is cut off, and others are answered meanwhile', async (_, said) => {
  const server = await serveHere({ limits: { requestTimeout: 300 } })
  const socket = dial(server, said)
  const heard = text(socket)
  expect((await fetch(`${server.url}/v1/locks`)).status).toBe(200)
  expect(await heard).toMatch(/^HTTP\/1.1 408 /)
})

test('a body that is too long is refused before all of it has arrived, with or without a declared length', async () => {
  const server = await serveHere({ limits: { body: 1_000 } })
  const told = await text(dial(server, head('content-length: 5000')))
  expect(told).toMatch(/^HTTP\/1.1 413 /)
  const chunk = 'x'.repeat(2_000)
  const untold = await text(dial(server, `${head('transfer-encoding: chunked')}${chunk.length.toString(16)}\r\n${chunk}\r\n`))
  expect(untold).toMatch(/^HTTP\/1.1 413 /)
})

test('headers that are too long are refused', async () => {
  const server = await serveHere({ limits: { headers: 2_000 } })
  expect(await text(dial(server, head(`x-long: ${'x'.repeat(3_000)}`)))).toMatch(/^HTTP\/1.1 431 /)
})

test('connections above the limit are closed', async () => {
  const server = await serveHere({ limits: { connections: 1 } })
  const first = dial(server, head('content-length: 100'))
  await new Promise((resolve) => first.once('connect', resolve))
  const second = dial(server, '')
  await new Promise((resolve) => second.once('close', resolve))
  expect(first.destroyed).toBe(false)
})

test('event streams above the limit are refused', async () => {
  const server = await serveHere({ limits: { streams: 1 } })
  const first = await fetch(`${server.url}/v1/events`)
  expect((await fetch(`${server.url}/v1/events`)).status).toBe(429)
  await first.body?.cancel()
})

test('when the server closes, pending requests are answered and new ones refused', async () => {
  const store = memoryStore()
  let go: () => void = () => {}
  let came: () => void = () => {}
  const arrived = new Promise<void>((resolve) => {
    came = resolve
  })
  const allowed = new Promise<void>((resolve) => {
    go = resolve
  })
  const slow: Store = {
    ...store,
    async apply(commands) {
      if (commands.some(({ type }) => type === 'request')) {
        came()
        await allowed
      }
      return await store.apply(commands)
    },
  }
  const server = await serveHere({}, slow)
  const body = bodyOf(beat('s'), request('s'))
  const socket = dial(server, `${head(`content-length: ${body.length}`)}${body}`)
  const heard = text(socket)
  await arrived
  const closed = server.close()
  await expect(fetch(`${server.url}/v1/locks`)).rejects.toThrow()
  go()
  expect(await heard).toContain('"type":"granted"')
  await closed
  expect((await store.read('k'))?.holders).toHaveLength(1)
})

test('a request that hangs for longer than the grace period is cut off when the server closes', async () => {
  const server = await serve(memoryStore(), { grace: 50 })
  const socket = dial(server, `${head('content-length: 100')}{`)
  await new Promise((resolve) => socket.once('connect', resolve))
  await fetch(`${server.url}/v1/locks`)
  const gone = new Promise((resolve) => socket.once('close', resolve))
  await server.close()
  await gone
})

test('a server with TLS serves batches over TLS only', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, ...subject],
    {
      stdio: 'ignore',
    },
  )
  const server = await serveHere({ tls: { key: readFileSync(key), cert: readFileSync(cert) } })
  expect(server.url).toMatch(/^https:/)
  const post = (send: typeof httpsRequest, protocol: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'storelock-client': 'a-client-of-this-test' }
      const options = { method: 'POST', headers, ca: readFileSync(cert) }
      const asking = send(`${protocol}://127.0.0.1:${portOf(server)}/v1/apply`, options, (response) => resolve(text(response)))
      asking.on('error', reject)
      asking.end(bodyOf(beat('s'), request('s')))
    })
  expect(await post(httpsRequest, 'https')).toContain('"type":"granted"')
  await expect(post(httpRequest as typeof httpsRequest, 'http')).rejects.toThrow()
})

test('a probe over HTTP/1.0, which needs no host header, is answered', async () => {
  const clients = [{ name: 'a', token: 'token-of-a-0123456789abcdef' }]
  const server = await serveHere({ clients, hosts: ['locks.example'] })
  expect(await text(dial(server, 'GET /livez HTTP/1.0\r\n\r\n'))).toMatch(/^HTTP\/1.1 200 /)
  expect(await text(dial(server, 'GET /v1/locks HTTP/1.0\r\n\r\n'))).toMatch(/^HTTP\/1.1 403 /)
})

test('a request whose connection breaks is not a failure of the server', async () => {
  const lines: string[] = []
  const faults: unknown[] = []
  const write = (line: string): void => void lines.push(line)
  const server = await serveHere({ report: { level: 'warn', write }, onError: (error) => faults.push(error) })
  const socket = dial(server, head('content-length: 100').replace('apply', 'verify'))
  await once(socket, 'connect')
  // A later request is answered, so the first one has reached the server.
  expect((await fetch(`${server.url}/livez`)).status).toBe(200)
  socket.destroy()
  for (const end = performance.now() + 10_000; !lines.length && performance.now() < end; ) await fetch(`${server.url}/livez`)
  expect(lines.map((line) => (JSON.parse(line) as { status: number }).status)).toEqual([400])
  expect(faults).toEqual([])
})

test.each(['/v1/apply', '/v1/verify'])('a deeply nested body is refused by %s in less time than it would take to parse it', async (path) => {
  const server = await serveHere()
  const deep = `{"commands":[],"x":${'['.repeat(300_000)}"]]"${']'.repeat(300_000)}}`
  const timed = async (step: () => unknown): Promise<number> => {
    const before = process.cpuUsage()
    await step()
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  const send = (body: string): Promise<Response> =>
    fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json', 'storelock-client': 'a-client-of-this-test' }, body })
  await send('{}')
  let answer: Response | undefined
  const took = await timed(async () => {
    answer = await send(deep)
  })
  expect([answer?.status, (await answer?.json()) as unknown]).toMatchObject([400, { error: { message: 'the body is nested more than 100 deep' } }])
  expect(took).toBeLessThan(await timed(() => JSON.parse(deep)))
})

test('a batch gets the same answer on the direct path from Node’s request and as a `Request`', async () => {
  const server = await serveHere({ limits: { body: 10_000 } })
  const json = { 'content-type': 'application/json', 'storelock-client': 'a-client-of-this-test' }
  const send = async (path: string, body: string, headers: Record<string, string>): Promise<unknown[]> => {
    const response = await fetch(server.url + path, { method: 'POST', headers, body })
    return [response.status, response.headers.get('content-type'), await response.json()]
  }
  const valid = bodyOf({ type: 'sweep', key: 'k' })
  const rows: [string, number, string, Record<string, string>][] = [
    ['a valid one', 200, valid, json],
    ['no JSON', 400, '{', json],
    ['an unknown command', 400, bodyOf({ type: 'unheard' }), json],
    ['too deep', 400, `${'['.repeat(4_500)}${']'.repeat(4_500)}`, json],
    ['too long', 413, 'x'.repeat(20_000), json],
    ['another type', 400, valid, { ...json, 'content-type': 'text/plain' }],
  ]
  for (const [what, status, body, headers] of rows) {
    // Without a query the batch takes the direct path; with a query it is handled as a `Request`.
    const [direct, asRequest] = [await send('/v1/apply', body, headers), await send('/v1/apply?x=1', body, headers)]
    expect([what, direct[0]]).toEqual([what, status])
    expect([what, ...asRequest]).toEqual([what, ...direct])
  }
})
