import { request as ask } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test, vi } from 'vitest'
import { serve } from '../../src/server/index.ts'
import { Turns } from '../../src/server/turns.ts'
import type { WireCommand } from '../../src/server/wire.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

const token = (name: string): string => `token-of-${name}`.padEnd(32, '-')
const clients = ['user', 'flood'].map((name) => ({ name, token: token(name) }))
const requests = 400

/** An event loop with a clock of its own, so that shares of time do not depend on how busy the machine is. */
class EventLoop {
  /** In ms. Each turn of the loop takes a hundredth; steps add what they take. */
  now = 0
  #immediates: (() => void)[] = []
  #timers: { at: number; run: () => void }[] = []
  readonly #turn = setImmediate

  constructor() {
    vi.spyOn(performance, 'now').mockImplementation(() => this.now)
    vi.stubGlobal('setImmediate', (run: () => void) => this.#immediates.push(run))
    vi.stubGlobal('setTimeout', (run: () => void, ms: number) => this.#timers.push({ at: this.now + ms, run }))
    atEnd({
      close() {
        vi.restoreAllMocks()
        vi.unstubAllGlobals()
      },
    })
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  async runUntil<T>(work: Promise<T>): Promise<T> {
    let done = false
    const result = work.finally(() => {
      done = true
    })
    // Before each turn, the promises of the last one settle.
    for (await this.#settle(); !done; await this.#settle()) {
      const immediates = this.#immediates.splice(0)
      this.now = immediates.length ? this.now + 0.01 : Math.max(this.now, Math.min(...this.#timers.map(({ at }) => at)))
      const due = this.#timers.filter(({ at }) => at <= this.now)
      this.#timers = this.#timers.filter(({ at }) => at > this.now)
      for (const run of [...due.map(({ run }) => run), ...immediates]) run()
    }
    return result
  }

  #settle(): Promise<void> {
    return new Promise((resolve) => this.#turn(resolve))
  }
}

/** A batch that takes some work. */
const commands = Array.from({ length: 50 }, (_, n): WireCommand => ({ ...request('none', `k${n}`, n), metadata: 'x'.repeat(1_000) }))

test('credentials take turns, one step each, and a turn of the event loop runs only a few steps of one', async () => {
  const loop = new EventLoop()
  const turns = new Turns()
  const taken: string[] = []
  const step = (who: string) => turns.run(who, () => void taken.push(who))
  const all = [...Array.from({ length: 100 }, () => step('flood')), ...Array.from({ length: 3 }, () => step('user'))]
  const inTurns = [0]
  const watch = async (): Promise<void> => {
    while (taken.length < all.length && inTurns.length < 200) {
      await new Promise((resolve) => setImmediate(resolve))
      inTurns.push(taken.length)
    }
  }
  await loop.runUntil(Promise.all([...all, watch()]))
  expect(Math.max(...inTurns.map((count, turn) => count - (inTurns[turn - 1] ?? 0)))).toBeLessThan(10)
  expect(taken.filter((who) => who === 'flood')).toHaveLength(100)
  expect(taken.lastIndexOf('user')).toBeLessThan(50)
  expect(turns.waiting).toBe(0)
})

test.each([
  ['comes now and then', (loop: EventLoop): Promise<void> => loop.sleep(1)],
  ['always has a step waiting', async (): Promise<void> => {}],
])('a credential that keeps the server busy gets about half of the time while another one %s', async (_, pause) => {
  const loop = new EventLoop()
  const turns = new Turns()
  let on = true
  let busy = 0
  const flood = async (): Promise<void> => {
    while (on)
      await turns.run('flood', () => {
        loop.now += 2
        busy += 2
      })
  }
  /** The share of the flood while the user sends its steps for some ms. */
  const during = async (ms: number): Promise<number> => {
    const [began, before] = [loop.now, busy]
    while (loop.now < began + ms) {
      await turns.run('user', () => {})
      await pause(loop)
    }
    return (busy - before) / (loop.now - began)
  }
  const flooding = Array.from({ length: 20 }, flood)
  await loop.runUntil(during(100))
  const share = await loop.runUntil(during(1_000))
  expect(share).toBeGreaterThan(0.4)
  expect(share).toBeLessThan(0.6)
  on = false
  await loop.runUntil(Promise.all(flooding))
})

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
