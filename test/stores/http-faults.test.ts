import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import { serve } from '../../src/server/index.ts'
import type { ApplyBody } from '../../src/server/wire.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd } from '../server/world.ts'

const beat: Command = { type: 'beat', session: 's', client: 'c', lease: 1_000, opens: true }
const pin: Command = { type: 'pin', key: 'k', entity: 'e' }

describe('an error names its cause', () => {
  test('when no server is listening', async () => {
    const server = await serve(memoryStore())
    await server.close()
    const store = atEnd(httpStore(server.url))
    await expect(store.apply([beat])).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('is the lock server running?') })
  })

  test('when the credential is unknown', async () => {
    const server = atEnd(await serve(memoryStore(), { clients: [{ name: 'a', token: 'the-token-of-client-a-0123456789' }] }))
    const store = atEnd(httpStore(server.url, { token: 'another' }))
    await expect(store.apply([beat])).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('does not accept the credential') })
  })

  test('when the credential’s prefixes do not allow the key', async () => {
    const server = atEnd(await serve(memoryStore(), { clients: [{ name: 'a', token: 'the-token-of-client-a-0123456789', prefixes: ['a/'] }] }))
    const store = atEnd(httpStore(server.url, { token: 'the-token-of-client-a-0123456789' }))
    await expect(store.read('b')).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('forbids it') })
  })

  test('when there is no answer in time', async () => {
    const { url } = await silentServer(() => {})
    const store = atEnd(httpStore(url, { timeout: 50 }))
    await expect(store.apply([beat])).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('did not answer within 50 ms') })
  })

  test('when a server answers that is not a lock server', async () => {
    const { url } = await server((_, answer) => answer.end('<h1>Welcome</h1>'))
    const store = atEnd(httpStore(url))
    await expect(store.read('k')).rejects.toMatchObject({ code: 'store', message: expect.stringContaining('is it a lock server?') })
  })

  test.each(['', 'localhost', 'ftp://localhost', 7])('when %j is not a server’s URL', (url) => {
    expect(() => httpStore(url as string)).toThrow(TypeError)
  })
})

test.each([
  ['Node’s own client', {}],
  ['fetch', { fetch }],
])('a server below a path gets its requests there, by %s', async (_, options) => {
  const asked: (string | undefined)[] = []
  const { url } = await server((request, answer) => {
    asked.push(request.url)
    answer.end('{"lock":null,"lockTokens":[]}')
  })
  for (const end of ['', '/']) await atEnd(httpStore(`${url}/below${end}`, options)).read('k')
  expect(asked).toEqual(Array(2).fill('/below/v1/locks?key=k'))
})

/** Starts an HTTP server for a test. */
async function server(listener: RequestListener): Promise<{ url: string }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd({
    close() {
      server.closeAllConnections()
      server.close()
    },
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Starts a server that accepts requests and does not answer. */
const silentServer = (heard: (body: ApplyBody) => void): Promise<{ url: string }> =>
  server(async (request) => heard((await json(request)) as ApplyBody))

test('a read is repeated over a new connection, since all idle ones may be broken', async () => {
  const used = new WeakSet<object>()
  const answers: ServerResponse[] = []
  const { url } = await server(({ socket }, answer) => {
    if (used.has(socket)) return void socket.destroy()
    used.add(socket)
    // The first three take a connection each.
    if (answers.push(answer) >= 3) for (const each of answers) each.end('{"lock":null,"lockTokens":[]}')
  })
  const store = atEnd(httpStore(url))
  await Promise.all(['a', 'b', 'c'].map((key) => store.read(key)))
  expect(await store.read('k')).toBeUndefined()
})

test('an unanswered pin is declared void at once, in a batch without commands', async () => {
  const bodies: ApplyBody[] = []
  let voided: (body: ApplyBody) => void = () => {}
  const notice = new Promise<ApplyBody>((resolve) => {
    voided = resolve
  })
  const { url } = await silentServer((body) => {
    bodies.push(body)
    if (!body.commands.length) voided(body)
  })
  const store = atEnd(httpStore(url, { timeout: 50 }))
  await expect(store.apply([pin])).rejects.toMatchObject({ code: 'store' })
  expect((await notice).void).toBe(bodies[0]?.batch)
})

test('the end of a session does not wait for a pending answer', async () => {
  const batches: string[][] = []
  let left: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    left = resolve
  })
  const { url } = await silentServer(({ commands }) => {
    batches.push(commands.map(({ type }) => type))
    if (commands.some(({ type }) => type === 'end')) left()
  })
  const store = atEnd(httpStore(url))
  const unanswered = [store.apply([beat]), store.apply([{ type: 'end', session: 's' }])]
  const rejected = Promise.allSettled(unanswered)
  await gone
  await store.close()
  expect((await rejected).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(batches.flat()).toContain('end')
})
