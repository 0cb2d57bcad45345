import { request as ask } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { serve } from '../../src/server/index.ts'
import { Turns } from '../../src/server/turns.ts'
import type { WireCommand } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const token = (name: string): string => `token-of-${name}`.padEnd(32, '-')
const clients = ['user', 'flood'].map((name) => ({ name, token: token(name) }))
const requests = 400

/** A batch that takes some work. */
const commands = Array.from({ length: 50 }, (_, n): WireCommand => ({ ...request('none', `k${n}`, n), metadata: 'x'.repeat(1_000) }))

test('credentials take turns, one step each, and a turn of the event loop runs only a few steps of one', async () => {
  const turns = new Turns()
  const taken: string[] = []
  const step = (who: string) => turns.run(who, () => void taken.push(who))
  const all = [...Array.from({ length: 100 }, () => step('flood')), ...Array.from({ length: 3 }, () => step('user'))]
  const inTurns = [0]
  while (taken.length < all.length && inTurns.length < 200) {
    await new Promise((resolve) => setImmediate(resolve))
    inTurns.push(taken.length)
  }
  await Promise.all(all)
  expect(Math.max(...inTurns.map((count, turn) => count - (inTurns[turn - 1] ?? 0)))).toBeLessThan(10)
  expect(taken.filter((who) => who === 'flood')).toHaveLength(100)
  expect(taken.lastIndexOf('user')).toBeLessThan(50)
  expect(turns.waiting).toBe(0)
})

test.each([
  ['comes now and then', (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 1))],
  ['always has a step waiting', async (): Promise<unknown> => undefined],
])(
  'a credential that keeps the server busy gets about half of the time while another one %s',
  async (_, pause) => {
    const turns = new Turns()
    const spin = (ms: number): void => {
      for (const end = performance.now() + ms; performance.now() < end; );
    }
    let on = true
    let busy = 0
    const flood = async (): Promise<void> => {
      while (on)
        await turns.run('flood', () => {
          const began = performance.now()
          spin(2)
          busy += performance.now() - began
        })
    }
    const flooding = Array.from({ length: 20 }, flood)
    const rounds = async (count: number): Promise<number> => {
      const [began, before] = [performance.now(), busy]
      for (let n = 0; n < count; n++) {
        await turns.run('user', () => {})
        await pause()
      }
      return (busy - before) / (performance.now() - began)
    }
    await rounds(50)
    expect(await rounds(100)).toBeLessThan(0.65)
    on = false
    await Promise.all(flooding)
  },
  20_000,
)

test('a step that throws fails only for its caller', async () => {
  const turns = new Turns()
  const all = Array.from({ length: 40 }, (_, n) =>
    turns.run('a', () => {
      if (n === 20) throw new Error('broken')
      return n
    }),
  )
  const done = await Promise.allSettled(all)
  expect(done.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  expect(done[39]).toEqual({ status: 'fulfilled', value: 39 })
})

test.each(['lists', 'batches'] as const)(
  'a flood of %s delays only its own credential: a later request of another one is answered among the first',
  async (kind) => {
    const handler = await handlerOf(memoryStore(), { clients, limits: { traffic: 1_000_000_000 } })
    const [flood, user] = ['flood', 'user'].map((name) => new Client(handler, name, token(name))) as [Client, Client]
    await flood.apply(beat('s'), ...Array.from({ length: 100 }, (_, n) => request('s', `k${n}`, n)))
    await user.apply(beat('u'))
    const answered: string[] = []
    const one = (name: string, work: Promise<unknown>): Promise<unknown> => work.then(() => answered.push(name))
    const flooding = Array.from({ length: requests }, () =>
      one('flood', kind === 'lists' ? flood.fetch('/v1/locks') : flood.post('/v1/apply', { commands })),
    )
    await one('user', user.apply(beat('u'), request('u', 'user')))
    const before = answered.indexOf('user')
    await Promise.all(flooding)
    expect(answered).toHaveLength(requests + 1)
    expect(before).toBeLessThan(requests / 4)
  },
)

test('also over connections, another credential’s request overtakes a flood', async () => {
  const { url } = atEnd(await serve(memoryStore(), { clients }))
  const answered: string[] = []
  const send = (name: string, body: object): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token(name)}`, 'content-type': 'application/json', 'storelock-client': name.padEnd(16, '-') }
      const asked = ask(`${url}/v1/apply`, { method: 'POST', headers }, async (response) => {
        await text(response)
        answered.push(name)
        resolve(answered.length)
      })
      asked.on('error', reject)
      asked.end(JSON.stringify(body))
    })
  await send('user', { commands: [beat('u')] })
  answered.length = 0
  const flooding = Array.from({ length: requests }, () => send('flood', { commands }))
  // When the first request is answered, the others have arrived or are about to.
  await Promise.race(flooding)
  const before = answered.length
  const place = await send('user', { commands: [beat('u')] })
  await Promise.all(flooding)
  expect(place - before).toBeLessThan(requests / 4)
})
