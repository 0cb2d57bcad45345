import { describe, expect, test } from 'vitest'
import { webLocksBeacon } from '../../src/beacons/web-locks.ts'
import { inProcessChannel } from '../../src/channels/in-process.ts'
import type { Channel } from '../../src/store.ts'
import { manualClock } from '../../src/testing/clock.ts'

interface Held {
  readonly name: string
  readonly owner: Context
  readonly freed: () => void
}

/** The part of a browser's lock manager that beacons use: exclusive locks, and queries. */
class Manager {
  readonly held = new Map<string, Held>()
  readonly #waiting = new Map<string, Set<() => void>>()

  lock(name: string, owner: Context, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const freed = (): void => reject(new DOMException('its context is gone', 'AbortError'))
      this.held.set(name, { name, owner, freed })
      work().then(() => {
        this.free(name)
        resolve()
      })
    })
  }

  free(name: string): void {
    this.held.delete(name)
    for (const tell of this.#waiting.get(name) ?? []) tell()
  }

  wait(name: string, signal: AbortSignal, got: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const tell = (): void => resolve(got())
      if (!this.held.has(name)) return tell()
      const waiting = this.#waiting.get(name) ?? new Set()
      this.#waiting.set(name, waiting.add(tell))
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
}

class Context {
  readonly told: string[] = []
  readonly clock
  readonly beacon
  readonly #manager: Manager
  stopped = false
  /** How late its timers fire, in ms. */
  late = 0

  constructor(clock: ReturnType<typeof manualClock>, air: Channel, manager: Manager, hasChannel = true) {
    this.#manager = manager
    this.clock = clock
    const locks = {
      query: async () => ({ held: [...manager.held.values()].map(({ name }) => ({ name })) }),
      request: (name: string, ...rest: unknown[]) => {
        const work = rest.pop() as (lock?: unknown) => Promise<void>
        const [options] = rest as [{ ifAvailable?: boolean; signal: AbortSignal }?]
        if (!options) return manager.lock(name, this, work)
        if (options.ifAvailable) return Promise.resolve(work(manager.held.has(name) ? null : {}))
        return manager.wait(name, options.signal, work)
      },
    } as unknown as LockManager
    const channel = {
      publish: air.publish,
      subscribe: (topic: string, listener: Parameters<Channel['subscribe']>[1]) =>
        air.subscribe(topic, (message) => {
          if (!this.stopped) listener(message)
        }),
    }
    this.beacon = webLocksBeacon('app', locks, () => this.told.push('refused'), {
      channel: hasChannel ? channel : undefined,
      after: (ms, run) => clock.after(ms + this.late, run),
      monotonic: clock.monotonic,
    })
    this.beacon.parted.then(() => this.told.push('parted'))
  }

  async crash(): Promise<void> {
    for (const { name, owner, freed } of [...this.#manager.held.values()]) {
      if (owner !== this) continue
      this.#manager.free(name)
      freed()
    }
    this.stopped = true
  }
}

let sessions = 0

/** Raises a beacon for a new session. */
const raise = (context: Context) => context.beacon.raise(`session-${++sessions}`)

const world = () => {
  const clock = manualClock()
  const air = inProcessChannel()
  return { clock, open: (manager: Manager, hasChannel?: boolean) => new Context(clock, air, manager, hasChannel) }
}

/** What a promise resolves with within a second, or 'nothing'. */
async function within<T>(clock: ReturnType<typeof manualClock>, promise: Promise<T>): Promise<T | 'nothing'> {
  let result: T | 'nothing' = 'nothing'
  promise.then(
    (value) => {
      result = value
    },
    () => {},
  )
  await clock.advance(1_000)
  return result
}

const forever = () => new AbortController().signal

describe('a beacon of Web Locks', () => {
  test('proves the death of a session in the same lock manager at once, even if the session died before the look', async () => {
    const { clock, open } = world()
    const manager = new Manager()
    const [stays, dies, comes] = [open(manager), open(manager), open(manager)]
    await raise(stays)
    const { address } = await raise(dies)
    expect(await comes.beacon.isOut?.(address)).toBe(false)
    await dies.crash()
    await raise(comes)
    expect(await comes.beacon.isOut?.(address)).toBe(true)
    expect(await stays.beacon.isOut?.(address)).toBe(true)
    await comes.beacon.watch(address, forever())
    expect(clock.monotonic()).toBe(0)
  })

  test('does not take a session with another lock manager for dead: the session answers, both sides are warned once, and its address says so', async () => {
    const { clock, open } = world()
    const [before, after, later] = [open(new Manager()), open(new Manager()), new Manager()]
    const old = await raise(before)
    const fresh = await raise(after)
    const { address } = old
    const watching = within(clock, after.beacon.watch(address, forever()))
    expect(await after.beacon.isOut?.(address)).toBe(false)
    expect(await watching).toBe('nothing')
    expect(await before.beacon.isOut?.(fresh.address)).toBe(false)
    await Promise.all([old.moved, fresh.moved])
    expect([before.told, after.told]).toEqual([['parted'], ['parted']])
    expect(old.address).toBe(`?${address}`)
    // Contexts that start later see the mark in the address, even if that session is silent.
    before.stopped = true
    expect(await within(clock, open(later).beacon.isOut?.(old.address) ?? Promise.resolve(true))).toBe(false)
  })

  test('proves a session dead if its own lock manager does not list it and it does not answer', async () => {
    const { clock, open } = world()
    const manager = new Manager()
    const alone = open(manager)
    const { address } = await raise(alone)
    await alone.crash()
    const next = open(manager)
    await raise(next)
    const out = next.beacon.isOut?.(address) ?? Promise.resolve(false)
    await clock.advance(499)
    expect(await Promise.race([out, Promise.resolve('not yet')])).toBe('not yet')
    await clock.advance(1)
    expect(await out).toBe(true)
    expect(next.told).toEqual([])
  })

  test('asks once more if its context was blocked while the answer could have arrived', async () => {
    const { clock, open } = world()
    const [before, after] = [open(new Manager()), open(new Manager())]
    const { address } = await raise(before)
    await raise(after)
    // Like a tab that is blocked for two seconds: it gets no messages, and its timers fire late.
    after.late = 2_000
    after.stopped = true
    const out = after.beacon.isOut?.(address) ?? Promise.resolve(true)
    await clock.advance(2_400)
    after.late = 0
    after.stopped = false
    await clock.advance(100)
    await clock.advance(500)
    expect(await out).toBe(false)
  })

  test.each(['its own context', 'the other one'])('takes no silence as proof where %s is older than the database', async (which) => {
    const { clock, open } = world()
    const [before, after] = [open(new Manager()), open(new Manager())]
    const doubting = which === 'its own context' ? after : before
    doubting.beacon.doubt()
    const { address } = await raise(before)
    before.stopped = true
    await raise(after)
    expect(await within(clock, after.beacon.isOut?.(address) ?? Promise.resolve(true))).toBe(false)
  })

  test('proves nothing about a session with another lock manager if there is no channel to ask it', async () => {
    const { clock, open } = world()
    const [before, after] = [open(new Manager()), open(new Manager(), false)]
    const { address } = await raise(before)
    await raise(after)
    expect(await within(clock, after.beacon.isOut?.(address) ?? Promise.resolve(true))).toBe(false)
  })

  test('a live session that was ended as dead objects, and is never taken for dead again', async () => {
    const { clock, open } = world()
    const [before, after] = [open(new Manager()), open(new Manager())]
    const old = await raise(before)
    await raise(after)
    before.stopped = true
    expect(await within(clock, after.beacon.isOut?.(old.address) ?? Promise.resolve(false))).toBe(true)
    before.stopped = false
    old.doubt?.()
    await clock.advance(0)
    expect([before.told, after.told]).toEqual([['parted'], ['parted']])
    expect(await after.beacon.isOut?.(old.address)).toBe(false)
  })

  test('requests no lock for a foreign address, or one of an older version', async () => {
    const { clock, open } = world()
    const context = open(new Manager())
    for (const address of ['other session', 'app session', 'app a b c']) {
      expect(await context.beacon.isOut?.(address)).toBe(false)
      expect(await within(clock, context.beacon.watch(address, forever()))).toBe('nothing')
    }
  })

  test('notifies its owner when its lock is stolen, and holds nothing once it is lowered', async () => {
    const { open } = world()
    const manager = new Manager()
    const context = open(manager)
    const raised = await raise(context)
    await context.crash()
    await raised.lost
    context.stopped = false
    const again = await raise(context)
    again.lower()
    await Promise.resolve()
    expect(manager.held.size).toBe(0)
  })
})
