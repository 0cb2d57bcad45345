import { channel } from 'node:diagnostics_channel'
import { expect, onTestFinished, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import type { LockEvent } from '../../src/locks/events.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { expose, wrap } from '../../src/worker/index.ts'
import { beat, lease, type Process, type ProcessOptions, settle, World } from './world.ts'

/** A process that records the events of its session. */
function observed(world: World, options: ProcessOptions = {}): Process & { readonly events: LockEvent[] } {
  const events: LockEvent[] = []
  return Object.assign(world.process({ ...options, observe: (event) => events.push(event) }), { events })
}

const types = (events: readonly LockEvent[]): string[] => events.map(({ type }) => type)

test('a lock without contention is asked for, granted, renewed and released', async () => {
  const world = new World()
  const { locks, events } = observed(world)
  const { session, token, release } = await locks.acquire('k')
  const { session: id } = locks
  expect(session).toBe(id)
  await world.pass(beat)
  await release()
  await settle()
  expect(events).toEqual([
    { type: 'asked', key: 'k', session: id, number: 1, before: undefined, mode: 'exclusive' },
    { type: 'granted', key: 'k', session: id, number: 1, token, own: true, confirmed: true, lingered: false },
    { type: 'renewed', keys: ['k'], session: id },
    { type: 'released', key: 'k', session: id, token, lingers: false },
  ])
})

test('the key of an event is that in the store, with the namespace', async () => {
  const world = new World()
  const { locks, events } = observed(world, { namespace: 'n' })
  const lock = await locks.acquire('k')
  await settle()
  expect(events.map((event) => 'key' in event && event.key)).toEqual([lock.key, lock.key])
})

test('in a hand-off, the releasing session sees the next holder, and a hint tells that holder before the store confirms the grant', async () => {
  const world = new World()
  const [a, b] = [observed(world), observed(world)]
  const lock = await a.locks.acquire('k')
  const waiting = b.locks.acquire('k')
  await settle()
  const { session } = b.locks
  await lock.release()
  const { token } = await waiting
  await world.pass(beat)
  expect(a.events.find((event) => event.type === 'granted' && !event.own)).toMatchObject({ session, token, confirmed: false })
  expect(
    types(b.events)
      .filter((type) => type !== 'looked')
      .slice(0, 4),
  ).toEqual(['asked', 'hinted', 'granted', 'confirmed'])
  expect(b.events.filter(({ type }) => type === 'hinted' || type === 'granted')).toMatchObject([{ token }, { token, own: true, confirmed: false }])
})

test('a wait that ends without the lock has an event: cancelled, timed out or refused', async () => {
  const world = new World()
  const [a, b] = [observed(world), observed(world)]
  await a.locks.acquire('k')
  const controller = new AbortController()
  const waits = [b.locks.acquire('k', { signal: controller.signal }), b.locks.acquire('k', { timeout: 10 })].map((each) => each.catch(() => {}))
  expect(await b.locks.tryAcquire('k')).toBeNull()
  controller.abort()
  await world.pass(10)
  await Promise.all(waits)
  await settle()
  const numbers = (type: string): unknown[] => b.events.flatMap((event) => (event.type === type && 'number' in event ? event.number : [])).sort()
  expect(numbers('withdrawn')).toEqual(numbers('asked'))
})

test('a request that is sent again names its former number', async () => {
  const world = new World()
  const [a, b] = [observed(world), observed(world)]
  await a.locks.acquire('k')
  b.locks.acquire('k').catch(() => {})
  await settle()
  await world.store.apply([{ type: 'end', session: b.locks.session }])
  await world.pass(200)
  const asked = b.events.filter((event) => event.type === 'asked')
  expect(asked.length).toBeGreaterThan(1)
  expect(asked[1]?.before).toBe(asked[0]?.number)
})

test('a look says how many sessions hold the lock, and how many requests wait for it', async () => {
  const world = new World()
  const [a, b] = [observed(world), observed(world)]
  const lock = await a.locks.acquire('k')
  const waiting = [b.locks.acquire('k'), b.locks.acquire('k'), b.locks.acquire('k')]
  await world.pass(200)
  expect(b.events.findLast(({ type }) => type === 'looked')).toEqual({ type: 'looked', key: 'k', session: b.locks.session, holders: 1, waiting: 3 })
  await lock.release()
  for (const each of waiting) await (await each).release()
})

test('the eviction of a silent holder is an event for the evicting session, and the loss an event for the holder', async () => {
  const world = new World()
  const [a, b] = [observed(world, { beacon: false }), observed(world)]
  const { session, token } = await a.locks.acquire('k')
  const waiting = b.locks.acquire('k')
  await world.pass(10)
  a.stop()
  await world.pass(lease + lease / 8)
  await waiting
  expect(b.events.filter(({ type }) => type === 'evicted')).toEqual([{ type: 'evicted', key: 'k', session, token, reason: 'expired' }])
  a.resume()
  await settle()
  expect(a.events.filter(({ type }) => type === 'lost')).toEqual([{ type: 'lost', key: 'k', session, token, reason: 'expired' }])
})

test('a steal within one session is both an eviction and a loss', async () => {
  const world = new World()
  const { locks, events } = observed(world)
  const { token } = await locks.acquire('k')
  await locks.acquire('k', { steal: true })
  await settle()
  expect(events.filter(({ type }) => type === 'evicted' || type === 'lost')).toMatchObject([
    { type: 'evicted', token, reason: 'stolen' },
    { type: 'lost', token, reason: 'stolen' },
  ])
})

test('a lingering lock is released and granted without the store, and released in the store at the end', async () => {
  const world = new World()
  const { locks, events } = observed(world, { linger: 50 })
  await (await locks.acquire('k')).release()
  const again = await locks.acquire('k')
  await again.release()
  await world.pass(60)
  expect(types(events)).toEqual(['asked', 'granted', 'released', 'granted', 'released', 'released'])
  expect(events.slice(2)).toMatchObject([{ lingers: true }, { lingered: true, token: again.token }, { lingers: true }, { lingers: false }])
})

test('a listener may use the locks, and its errors change nothing', async () => {
  const world = new World()
  const told = console.error
  const errors: unknown[] = []
  console.error = (error: unknown) => errors.push(error)
  onTestFinished(() => {
    console.error = told
  })
  const { locks } = world.process({
    observe(event) {
      if (event.type === 'granted' && event.key === 'k') locks.tryAcquire('other').catch(() => {})
      throw new Error('of the listener')
    },
  })
  const lock = await locks.acquire('k')
  await settle()
  expect(lock.isHeld()).toBe(true)
  expect(errors).toHaveLength(2 + 2)
  await lock.release()
  expect(await locks.query('k')).toEqual({ held: [], pending: [] })
})

test('a listener that is not a function is refused', () => {
  expect(() => createLocks({ store: memoryStore(), observe: 'yes' as never })).toThrow(TypeError)
})

test('subscribers to the diagnostics channels get the same events, from all locks of the process', async () => {
  const granted: unknown[] = []
  const note = (event: unknown): unknown => granted.push(event)
  channel('storelock:granted').subscribe(note)
  onTestFinished(() => void channel('storelock:granted').unsubscribe(note))
  const world = new World()
  const [a, b] = [world.process(), observed(world)]
  await a.locks.acquire('k')
  await b.locks.acquire('l')
  await settle()
  expect(granted).toMatchObject([{ key: 'k', session: a.locks.session }, b.events.find(({ type }) => type === 'granted')])
})

test('when a worker keeps the locks, its listener also gets the events of the pages’ sessions', async () => {
  const events: LockEvent[] = []
  const own = createLocks({ store: memoryStore(), observe: (event) => events.push(event) })
  const { port1, port2 } = new MessageChannel()
  const stop = expose(own, port1)
  const page = wrap(port2)
  const { token, session } = await page.acquire('k')
  expect(session).not.toBe(own.session)
  expect(events.filter(({ type }) => type === 'granted')).toMatchObject([{ key: 'k', session, token, own: true }])
  await page.close()
  await stop()
  await own.close()
  port1.close()
})
