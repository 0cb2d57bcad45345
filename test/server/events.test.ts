import { expect, test } from 'vitest'
import type { HandlerOptions } from '../../src/server/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { Client, handlerOf, request } from './world.ts'

async function world(options: HandlerOptions = {}) {
  const store = memoryStore()
  const handler = await handlerOf(store, options)
  return { store, handler, a: new Client(handler, 'a'), b: new Client(handler, 'b') }
}

/** Opens an event stream. `next` resolves with its next event. */
async function events(client: Client, query: string) {
  const { body } = await client.fetch(`/v1/events?${query}`)
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const next = async (): Promise<{ event: string; data: Record<string, unknown> } | undefined> => {
    const { done, value } = await reader.read()
    if (done) return undefined
    const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(value)) ?? []
    return { event, data: JSON.parse(data) }
  }
  return { next, reader, opened: await next() }
}

test('a grant is sent to its session’s stream, with the lockToken', async () => {
  const { handler, a, b } = await world()
  const held = (await a.take('s-a')).lockTokens[0]
  await b.take('s-b')
  const { next, opened } = await events(b, 'topic=s-b')
  expect(opened).toEqual({ event: 'open', data: { topics: 1 } })
  await a.apply({ type: 'release', key: 'k', session: 's-a', token: held?.token as number, lockToken: held?.lockToken })
  const hint = await next()
  expect(hint).toMatchObject({ event: 'hint', data: { topic: 's-b', message: { key: 'k', number: 1 }, lockTokens: [{ session: 's-b' }] } })
  const [ticket] = (hint?.data.lockTokens ?? []) as { lockToken: string }[]
  expect(await handler.verify('k', ticket?.lockToken as string)).toMatchObject({ valid: true, holder: { session: 's-b' } })
})

test('only a session’s own client gets its hints', async () => {
  const { a, b } = await world()
  await a.take('s-a')
  const theirs = await events(b, 'topic=s-a&topic=free')
  const own = await events(a, 'topic=s-a')
  await b.post('/v1/publish', {
    messages: [
      { topic: 's-a', message: { key: 'k' } },
      { topic: 'free', message: { n: 1 } },
    ],
  })
  expect((await own.next())?.data).toMatchObject({ topic: 's-a', message: { key: 'k' } })
  expect((await theirs.next())?.data).toMatchObject({ topic: 'free', message: { n: 1 } })
})

test('a client cannot tell another that it was granted a lock', async () => {
  const { a, b } = await world()
  await a.take('s-a')
  const { next } = await events(a, 'topic=s-a')
  const grant = { key: 'k', number: 1, token: 2 ** 50, previous: 0 }
  await b.post('/v1/publish', { messages: [{ topic: 's-a', message: grant }] })
  expect((await next())?.data).toEqual({ topic: 's-a', message: { key: 'k' } })
})

test('messages pass from the store’s own channel to clients, and back', async () => {
  const { store, a } = await world()
  const { next } = await events(a, 'topic=news')
  store.channel.publish('news', { from: 'inside' })
  expect((await next())?.data).toEqual({ topic: 'news', message: { from: 'inside' } })
  const heard = new Promise((resolve) => store.channel.subscribe('news', resolve))
  await a.post('/v1/publish', { messages: [{ topic: 'news', message: { from: 'outside' } }] })
  expect(await heard).toEqual({ from: 'outside' })
})

test('a stream that its client does not read is dropped, and the client’s locks stay', async () => {
  const { store, a, b } = await world({ limits: { buffer: 5_000 } })
  await a.take('s-a')
  const { reader } = await events(a, 'topic=news')
  const message = { text: 'x'.repeat(1_000) }
  for (let n = 0; n < 10; n++) await b.post('/v1/publish', { messages: [{ topic: 'news', message }] })
  await expect(reader.closed).rejects.toThrow('too slow')
  expect((await store.read('k'))?.holders).toMatchObject([{ session: 's-a' }])
})

test('a server that closes sends `bye` on its streams', async () => {
  const { handler, a } = await world()
  const { next } = await events(a, 'topic=x')
  await handler.close()
  expect([await next(), await next()]).toEqual([{ event: 'bye', data: {} }, undefined])
  expect((await a.fetch('/v1/locks')).status).toBe(503)
})

test('a waiter gets a hint when the session of the holder ends', async () => {
  const { a, b } = await world()
  await a.take('s-a')
  await b.take('s-b')
  const { next } = await events(b, 'topic=s-b')
  await a.apply({ type: 'end', session: 's-a' })
  expect((await next())?.data).toMatchObject({ topic: 's-b', message: { key: 'k', number: 1 } })
})

test('a holder gets a hint when its lock is stolen, and when it is asked to release', async () => {
  const { a, b } = await world()
  await a.take('s-a')
  await b.take('s-b', 'other')
  const { next } = await events(a, 'topic=s-a')
  await b.apply({ ...request('s-b'), ask: 'please' })
  expect((await next())?.data).toEqual({ topic: 's-a', message: { key: 'k' } })
  await b.apply({ ...request('s-b', 'k', 2), steal: true })
  expect((await next())?.data).toEqual({ topic: 's-a', message: { key: 'k' } })
})
