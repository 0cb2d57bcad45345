import { expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { serve } from '../../src/server/index.ts'
import type { Message } from '../../src/store.ts'
import { type HttpStore, httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

/** Polls without pauses until the condition holds. */
async function waitFor(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await isSo())) if (performance.now() > end) throw new Error('it never became so')
}

/** The messages of a stream, up to the message that `last` sends. */
async function heardBy(client: Client, topic: string, last: () => unknown): Promise<unknown[]> {
  const { body } = await client.fetch(`/v1/events?topic=${topic}&topic=last`)
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  await last()
  const heard: unknown[] = []
  for (let event = 0; event < 100; event++) {
    const text = new TextDecoder().decode((await reader.read()).value)
    const data = JSON.parse(/data: (.*)/.exec(text)?.[1] ?? '{}')
    if (data.topic === 'last') return heard
    if (data.topic) heard.push(data.message)
  }
  throw new Error('the last message never came')
}

const forged: readonly Message[] = [
  { number: 1, token: 2 ** 52, previous: 0 },
  { key: 'k', number: 1, token: 2 ** 52, previous: 0 },
  { key: 'other', number: 1, token: 2 ** 52, previous: 0 },
  { text: 'hello' },
]

test('only the key of a client’s message to a session arrives, and only if the session holds or waits for that key', async () => {
  const handler = await handlerOf(memoryStore())
  const a = new Client(handler, 'a')
  const b = new Client(handler, 'b')
  await a.take('s-a')
  const heard = await heardBy(a, 's-a', async () => {
    for (const key of [7, true, null])
      expect((await b.post('/v1/publish', { messages: [{ topic: 's-a', message: { key, number: 1, token: 9, previous: 0 } }] })).status).toBe(400)
    await b.post('/v1/publish', { messages: forged.map((message) => ({ topic: 's-a', message })) })
    await b.post('/v1/publish', { messages: [{ topic: 'last', message: {} }] })
  })
  expect(heard).toEqual([{ key: 'k' }])
})

test('a client can send messages only to sessions that hold or wait for keys that the client may use', async () => {
  const token = (name: string): string => `token-of-${name}`.padEnd(32, '-')
  const clients = ['a', 'b'].map((name) => ({ name, token: token(name), prefixes: [`${name}/`, '@team/', 'last'] }))
  const handler = await handlerOf(memoryStore(), { clients })
  const a = new Client(handler, 'a', token('a'))
  const b = new Client(handler, 'b', token('b'))
  await a.apply(beat('@team/s-a'), request('@team/s-a', 'a/1'), request('@team/s-a', '@team/1', 2))
  const heard = await heardBy(a, encodeURIComponent('@team/s-a'), async () => {
    for (const key of ['a/1', 'b/1', '@team/1', '@team/2']) await b.post('/v1/publish', { messages: [{ topic: '@team/s-a', message: { key } }] })
    await b.post('/v1/publish', { messages: [{ topic: '@team/s-a', message: { text: 'hello' } }] })
    await b.post('/v1/publish', { messages: [{ topic: 'last', message: {} }] })
  })
  expect(heard).toEqual([{ key: '@team/1' }])
})

test('no message that a client publishes can end another client’s wait before the lock is granted', async () => {
  const server = atEnd(await serve(memoryStore()))
  const [holders, waiters, attackers] = [0, 1, 2].map(() => atEnd(httpStore(server.url))) as [HttpStore, HttpStore, HttpStore]
  const holder = atEnd(createLocks({ store: holders }))
  const waiter = atEnd(createLocks({ store: waiters }))
  const names = ['7', 'true', 'null', 'undefined', 'k']
  const held = await Promise.all(names.map((name) => holder.acquire(name)))
  const won: string[] = []
  const waits = names.map((name) =>
    waiter.acquire(name).then((lock) => {
      won.push(name)
      return lock
    }),
  )
  await waitFor(async () => (await holder.query()).pending.length === names.length)
  const { session } = waiter
  for (const key of [7, true, null, undefined, 'k']) {
    const grant = { number: 1, token: 2 ** 52, previous: 0 }
    const messages = [{ topic: session, message: key === undefined ? grant : { ...grant, key } }]
    await fetch(`${server.url}/v1/publish`, { method: 'POST', body: JSON.stringify({ messages }), headers: { 'content-type': 'application/json' } })
    attackers.channel.publish(session, messages[0]?.message as Message)
  }
  // The forged hints have arrived before this read is answered.
  await attackers.read('k')
  await waiters.read('k')
  expect([won, held.every((lock) => lock.isHeld())]).toEqual([[], true])
  await Promise.all(held.map((lock) => lock.release()))
  const got = await Promise.all(waits)
  expect(got.every((lock) => lock.isHeld() && lock.token < 2 ** 52)).toBe(true)
})
