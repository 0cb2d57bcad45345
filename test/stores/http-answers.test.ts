import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { httpStore } from '../../src/stores/http.ts'
import { atEnd } from '../server/world.ts'

/** Starts an HTTP server that is not a lock server. @returns its URL */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd({
    close() {
      server.closeAllConnections()
      server.close()
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a redirect is not followed, so no other server sees the credential', async () => {
  const seen: unknown[] = []
  const other = await answering(({ headers }, response) => {
    seen.push(headers)
    response.end('{}')
  })
  const url = await answering((_, response) => response.writeHead(307, { location: `${other}/v1/locks` }).end())
  for (const options of [{ token: 'secret' }, { token: 'secret', fetch }]) {
    const store = atEnd(httpStore(url, options))
    await expect(store.read('k')).rejects.toMatchObject({ code: 'store' })
    await expect(store.apply([{ type: 'challenge', session: 's' }])).rejects.toMatchObject({ code: 'store' })
  }
  // The event stream is opened with the first subscription.
  const streams = atEnd(httpStore(url, { token: 'secret' }))
  streams.channel.subscribe('t', () => {})
  await expect(streams.read('k')).rejects.toMatchObject({ code: 'store' })
  expect(seen).toEqual([])
})

test('a URL with a password is refused, and the password is not printed', () => {
  for (const url of ['http://user:hunter2@127.0.0.1:1', 'ftp://user:hunter2@127.0.0.1'])
    expect(() => httpStore(url)).toThrow(expect.objectContaining({ name: 'TypeError', message: expect.not.stringContaining('hunter2') }))
})

for (const [status, body] of [
  [200, '{}'],
  [200, 'null'],
  [200, '[]'],
  [200, '"ok"'],
  [200, '<html>Welcome</html>'],
  [502, '<html>Bad Gateway</html>'],
  [502, 'null'],
  [500, '{"error":"oops"}'],
] as const) {
  test(`an answer of ${status} with ${body}, which is not a lock server’s, is a \`store\` error that says so`, async () => {
    const url = await answering((_, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body))
    const store = atEnd(httpStore(url))
    const error = { name: 'LockError', code: 'store', message: expect.stringMatching(/lock server/) }
    await expect(store.read('k')).rejects.toMatchObject(error)
    await expect(store.list()).rejects.toMatchObject(error)
    await expect(store.apply([{ type: 'challenge', session: 's' }])).rejects.toMatchObject(error)
  })
}
