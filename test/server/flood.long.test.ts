import { expect, test } from 'vitest'
import type { Holder, PlainView } from '../../src/protocol/index.ts'
import type { ReadReply } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, Client, handlerOf, request } from './world.ts'

const crowd = 200
const each = 50

test('a flood of 200 clients with 50 waiters each is served in the order of the queue, from a small record, and leaves nothing behind', async () => {
  // With manual expiry no session is evicted as silent, however long this test takes.
  const handler = await handlerOf(memoryStore(), { expiry: 'manual', limits: { waiters: each, rate: 1_000_000 } })
  const holder = new Client(handler, 'holder')
  const [held] = (await holder.take('s-holder')).lockTokens
  const clients = new Map(Array.from({ length: crowd }, (_, n) => [`s-${n}`, new Client(handler, `client-${n}`, undefined, `10.0.0.${n}`)]))
  const places = new Map<string, string>()
  for (const [session, client] of clients) {
    const { outcomes, lockTokens } = await client.apply(beat(session), ...Array.from({ length: each }, (_, n) => request(session, 'k', n)))
    expect(outcomes.slice(1).every(({ type }) => type === 'queued')).toBe(true)
    places.set(session, lockTokens.at(-1)?.lockToken as string)
  }
  // One more request from each client is refused and leaves nothing behind.
  for (const [session, client] of clients) expect((await client.apply(request(session, 'k', each))).outcomes).toMatchObject([{ type: 'failed' }])
  const { lock } = await holder.get<ReadReply>('/v1/locks/k')
  expect(JSON.stringify(lock?.queue).length).toBeLessThan(crowd * 250)

  const order = (lock as PlainView).queue.flatMap(({ session, from, to }) =>
    Array.from({ length: to - from + 1 }, (_, n) => `${session} ${from + n}`),
  )
  const served: string[] = []
  let grants: readonly Holder[] = []
  const release = { type: 'release' as const, key: 'k', session: 's-holder', token: held?.token as number, lockToken: held?.lockToken }
  for (let reply = await holder.apply(release); ; ) {
    ;[{ grants }] = reply.outcomes as unknown as [{ grants: readonly Holder[] }]
    const [next] = grants
    if (!next) break
    const { session, number } = next
    served.push(`${session} ${number}`)
    reply = await (clients.get(session) as Client).apply({ type: 'withdraw', key: 'k', session, number, lockToken: places.get(session) })
  }
  expect(order).toHaveLength(crowd * each)
  expect(served).toEqual(order)
  expect(await (await holder.fetch('/metrics')).text()).toContain('storelock_waiters 0')
}, 300_000)
