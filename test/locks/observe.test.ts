import { describe, expect, test } from 'vitest'
import type { HeldLock } from '../../src/locks/types.ts'
import { beat, duration, lease, type Process, settle, stateOf, World } from './world.ts'

/** `a` holds the lock without a beacon and is stopped; `b` began to wait before that. */
async function silent(
  world: World,
  options: { channel?: boolean } = {},
): Promise<{ a: Process; b: Process; lock: HeldLock; wait: Promise<HeldLock> }> {
  const [a, b] = [world.process({ label: 'a', beacon: false }), world.process({ label: 'b', ...options })]
  const lock = await a.locks.acquire('k')
  const wait = b.locks.acquire('k')
  wait.catch(() => {})
  await world.pass(10)
  a.stop()
  return { a, b, lock, wait }
}

describe('a holder that falls silent', () => {
  test('J5: is not evicted before it has been silent for its lease', async () => {
    const world = new World()
    const { wait } = await silent(world)
    await world.pass(lease - 1)
    expect(await stateOf(wait)).toBe('pending')
  })

  test('J5: is evicted within one lease and a poll', async () => {
    const world = new World()
    const { wait } = await silent(world)
    await world.pass(lease + lease / 8)
    expect((await wait).isHeld()).toBe(true)
  })

  test('is evicted in that time also without a channel', async () => {
    const world = new World()
    const { wait } = await silent(world, { channel: false })
    await world.pass(lease + lease / 8)
    expect((await wait).isHeld()).toBe(true)
  })

  test('loses its lock by its own clock, and its signal aborts at once', async () => {
    const world = new World()
    const { a, lock, wait } = await silent(world)
    await world.pass(2 * lease)
    await wait
    expect(lock.isHeld()).toBe(false)
    expect(lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toMatchObject({ code: 'lost', reason: 'expired' })
    a.resume()
    await settle()
    expect(lock.isHeld()).toBe(false)
  })

  test('takes nothing from the next holder by a late release', async () => {
    const world = new World()
    const { a, lock, wait } = await silent(world)
    await world.pass(2 * lease)
    const next = await wait
    a.resume()
    await lock.release()
    await world.pass(duration)
    expect(next.isHeld()).toBe(true)
    expect(await world.holders()).toEqual(['b'])
  })

  test('and renews just in time restarts the observation', async () => {
    const world = new World()
    const { a, wait } = await silent(world)
    for (let round = 0; round < 5; round++) {
      await world.pass(duration - 2 * beat)
      a.resume()
      await settle()
      a.stop()
    }
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(lease - 1)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(lease / 4)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('is observed for its own lease if that is longer', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k', { duration: 6_000 })
    const wait = b.locks.acquire('k')
    await world.pass(10)
    a.stop()
    await world.pass(7_900)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(1_100)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('is not confused with a session that takes many short holds without renewing', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    const rounds = async (): Promise<void> => {
      for (let round = 0; round < 100; round++) {
        const lock = await a.locks.acquire('k', { steal: true })
        await new Promise<void>((resolve) => void a.clock.after(beat / 2, resolve))
        expect(lock.isHeld()).toBe(true)
      }
    }
    const holding = rounds()
    await settle()
    b.locks.acquire('k').catch(() => {})
    await world.pass(100 * beat)
    await holding
    expect(b.link.count('expire')).toBe(0)
  })

  test('of which only the row and the record are left is evicted like any other', async () => {
    const world = new World()
    const row = { session: 'ghost', client: 'ghost', lease, beacon: 'nowhere' }
    await world.store.apply([
      { type: 'beat', opens: true, ...row },
      { type: 'request', key: 'k', session: 'ghost', client: 'ghost', number: 1, mode: 'exclusive', confirm: 500 },
    ])
    const wait = world.process().locks.acquire('k')
    await world.pass(lease + lease / 4)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('whose session has ended loses the lock at once', async () => {
    const world = new World()
    const { a, wait } = await silent(world)
    await world.store.apply([{ type: 'end', session: a.locks.session }])
    await world.pass(200)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test("with expiry 'manual' is never evicted by a waiter", async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process({ expiry: 'manual' })]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.stop()
    await world.pass(10 * lease)
    expect(await stateOf(wait)).toBe('pending')
    const tried = b.locks.tryAcquire('k')
    await world.pass(10 * lease)
    expect(await tried).toBeNull()
  })

  test('is evicted by the second waiter when the first one is silent as well', async () => {
    const world = new World()
    const { b, wait } = await silent(world)
    const c = world.process({ label: 'c' })
    const other = c.locks.acquire('k')
    await world.pass(10)
    b.stop()
    await world.pass(lease * (1 + 2 / 8) + 500 + 500)
    expect(await stateOf(wait)).toBe('pending')
    expect(await stateOf(other)).toBe('fulfilled')
  })
})

describe('a sleep of the observer', () => {
  test('never counts as silence of the holder', async () => {
    const world = new World()
    const { a, b, lock, wait } = await silent(world)
    a.resume()
    await world.pass(10)
    // Both processes sleep, and the observer wakes first.
    a.stop()
    b.stop()
    await world.pass(duration - 200)
    b.resume()
    await world.pass(150)
    expect(await stateOf(wait)).toBe('pending')
    a.resume()
    await settle()
    expect(lock.isHeld()).toBe(true)
    expect(b.link.count('expire')).toBe(0)
  })

  test('counts for one and a quarter pauses, however long it is', async () => {
    const world = new World()
    const { b, wait } = await silent(world)
    await world.pass(lease / 2)
    b.stop()
    await world.pass(100 * lease)
    b.resume()
    await world.pass(lease / 2 - 200)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(400)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('counts for no more when it is repeated', async () => {
    const world = new World()
    const { b, wait } = await silent(world)
    for (let nap = 0; nap < 8; nap++) {
      b.stop()
      await world.pass(10 * lease)
      b.resume()
      await settle()
    }
    expect(await stateOf(wait)).toBe('pending')
  })
})

describe('proof of death', () => {
  test('gives the lock to the next waiter at once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('gives the lock to the next waiter at once also without a channel', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false })]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('of a holder that died before the wait began is found at once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.crash()
    expect(await stateOf(b.locks.acquire('k'))).toBe('fulfilled')
  })

  test('does not come from a process that is only stopped', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.stop()
    await world.pass(lease - 100)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(100 + lease / 8)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('is watched for only by the head of the queue', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    const address = async (process: Process): Promise<string | undefined> => (await world.record()).sessions.get(process.locks.session)?.beacon
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    c.locks.acquire('k').catch(() => {})
    await settle()
    expect(b.link.watched).toEqual([await address(a)])
    expect(c.link.watched).toEqual([await address(b)])
  })

  test('of the head makes the next waiter take over the watch', async () => {
    const world = new World()
    const [a, b, c] = [world.process({ label: 'a' }), world.process({ label: 'b' }), world.process({ label: 'c' })]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    const wait = c.locks.acquire('k')
    await settle()
    b.crash()
    await settle()
    expect(await world.queue()).toEqual(['c×1'])
    await world.pass(100)
    a.crash()
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('of holder and head together gives the lock to the third session', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    const wait = c.locks.acquire('k')
    await settle()
    a.crash()
    b.crash()
    await world.pass(300)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('of one of several shared holders leaves the others their lock', async () => {
    const world = new World()
    const [a, b, c] = [world.process({ label: 'a' }), world.process({ label: 'b' }), world.process({ label: 'c' })]
    await a.locks.acquire('k', { mode: 'shared' })
    const kept = await b.locks.acquire('k', { mode: 'shared' })
    const wait = c.locks.acquire('k')
    await settle()
    a.crash()
    await world.pass(duration)
    expect(await world.holders()).toEqual(['b'])
    expect([kept.isHeld(), await stateOf(wait)]).toEqual([true, 'pending'])
    await kept.release()
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('frees every lock of the dead session', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const keys = ['k', 'l', 'm']
    await Promise.all(keys.map((key) => a.locks.acquire(key)))
    const waits = keys.map((key) => b.locks.acquire(key))
    await settle()
    a.crash()
    expect(await Promise.all(waits.map(stateOf))).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  })

  test('is no longer watched for when no session waits any more', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const stop = new AbortController()
    b.locks.acquire('k', { signal: stop.signal }).catch(() => {})
    await settle()
    stop.abort()
    await settle()
    const sent = b.link.sent.length
    await world.pass(10)
    a.crash()
    await settle()
    expect(b.link.sent.length).toBe(sent)
  })

  test('that the store fails to act on leaves the lock to be freed after its lease', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    b.link.break('fail', 'end', 'expire')
    a.crash()
    await settle()
    b.link.mend()
    await world.pass(lease + lease / 4)
    expect(await stateOf(wait)).toBe('fulfilled')
  })
})

describe('repeated calls that never wait', () => {
  /** All ways to request a lock without waiting. */
  const ways: readonly (readonly [string, (process: Process) => Promise<{ isHeld(): boolean } | null>])[] = [
    ['acquire with timeout 0', ({ locks }) => locks.acquire('k', { timeout: 0 }).catch(() => null)],
    ['tryAcquire', ({ locks }) => locks.tryAcquire('k', { timeout: 0 })],
    ['request with ifAvailable', ({ locks }) => locks.request('k', { ifAvailable: true }, (lock) => lock && { isHeld: () => true })],
    ['a re-entrant lock', ({ locks }) => locks.reentrant('k').tryAcquire({ timeout: 0 })],
  ]
  /** `enough` calls that are each `apart` after the one before, in ms, add up to a lease of observed silence. */
  const apart = lease
  const enough = 8

  test.each(ways)('%s: get the lock in the same call if its holder is proved dead', async (_, ask) => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.crash()
    expect((await ask(b))?.isHeld()).toBe(true)
  })

  test.each(ways)('%s: get the lock of a silent holder with the call that completes the evidence', async (_, ask) => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.stop()
    for (let asked = 1; asked < enough; asked++) {
      expect(await ask(b)).toBeNull()
      await world.pass(apart)
    }
    expect((await ask(b))?.isHeld()).toBe(true)
  })

  test('do not get the lock before its holder has been silent for its lease, however often they ask', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.stop()
    for (let ms = 0; ms < lease; ms += 10) {
      expect(await b.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
      await world.pass(10)
    }
    await world.pass(10)
    expect((await b.locks.tryAcquire('k', { timeout: 0 }))?.isHeld()).toBe(true)
  })

  test('get the lock also if they ask for hundreds of names in turn', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const names = Array.from({ length: 250 }, (_, index) => `k${index}`)
    await Promise.all(names.map((name) => a.locks.acquire(name)))
    a.stop()
    const got: unknown[] = []
    for (let asked = 1; asked <= enough; asked++) {
      for (const name of names) if (await b.locks.tryAcquire(name, { timeout: 0 })) got.push(asked)
      await world.pass(apart)
    }
    expect(got).toEqual(names.map(() => enough))
  })

  test('start over when the holder renews', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    for (let asked = 0; asked < 3 * enough; asked++) {
      expect(await b.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
      a.stop()
      await world.pass(lease / 4)
      a.resume()
      await settle()
    }
    expect(lock.isHeld()).toBe(true)
  })

  test.each([0, 1])('get no lock that is pinned, and none if locks expire only by hand (%d)', async (manual) => {
    const world = new World()
    const [a, b] = [world.process(), world.process(manual ? { expiry: 'manual' } : {})]
    await a.locks.acquire('k')
    if (!manual) await a.locks.pin('k', 'admin')
    a.stop()
    for (let asked = 0; asked < 3 * enough; asked++) {
      expect(await b.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
      await world.pass(apart)
    }
    a.crash()
    expect(await b.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
  })

  test('are not blocked when both the holder and the first waiter are dead', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    b.crash()
    a.crash()
    expect((await c.locks.tryAcquire('k', { timeout: 0 }))?.isHeld()).toBe(true)
  })

  test('do not overtake a live waiter', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b' }), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    expect(await c.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
    expect((await wait).isHeld()).toBe(true)
  })
})

describe('trying a lock whose holder looks dead', () => {
  /** Its session held the lock without a beacon and died long ago. */
  async function dead(world: World): Promise<Process> {
    const a = world.process({ label: 'a', beacon: false })
    await a.locks.acquire('k')
    a.crash()
    await world.pass(10 * lease)
    return a
  }

  test('observes the holder for its lease, and takes the lock', async () => {
    const world = new World()
    await dead(world)
    const tried = world.process().locks.tryAcquire('k')
    await world.pass(lease - 1)
    expect(await stateOf(tried)).toBe('pending')
    await world.pass(lease / 4)
    expect((await tried)?.isHeld()).toBe(true)
  })

  test('gives up after its timeout', async () => {
    const world = new World()
    await dead(world)
    const tried = world.process().locks.tryAcquire('k', { timeout: 500 })
    await world.pass(500)
    expect(await tried).toBeNull()
    expect(await world.queue()).toEqual([])
  })

  test('with timeout 0 does not observe', async () => {
    const world = new World()
    await dead(world)
    const b = world.process()
    expect(await b.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
    expect(b.link.reads).toEqual([])
  })

  test('with ifAvailable never observes', async () => {
    const world = new World()
    await dead(world)
    const b = world.process()
    expect(await b.locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
    expect(b.link.reads).toEqual([])
  })

  test('gives null at once for a holder that looks alive', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    expect(await b.locks.tryAcquire('k')).toBeNull()
  })

  test('gives null as soon as the holder renews', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    const lock = await a.locks.acquire('k')
    b.wall = world.wall = 10 * lease
    const tried = b.locks.tryAcquire('k')
    await world.pass(2 * lease)
    expect(await tried).toBeNull()
    expect(lock.isHeld()).toBe(true)
  })

  test('takes the lock if the holder releases it meanwhile', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    world.stepWall(10 * lease)
    const tried = b.locks.tryAcquire('k')
    await world.pass(100)
    await lock.release()
    await world.pass(lease / 8)
    expect((await tried)?.isHeld()).toBe(true)
  })

  test('J11: also observes when the wall clock shows a time before the last renewal', async () => {
    const world = new World()
    const a = world.process({ beacon: false })
    await a.locks.acquire('k')
    a.crash()
    world.stepWall(-10 * lease)
    const tried = world.process({}).locks
    const [, b] = world.processes as [Process, Process]
    b.wall = world.wall
    const taken = tried.tryAcquire('k')
    await world.pass(lease + lease / 4)
    expect(await stateOf(taken)).toBe('fulfilled')
    expect((await taken)?.isHeld()).toBe(true)
  })

  test('does not observe a pinned lock', async () => {
    const world = new World()
    await dead(world)
    const b = world.process()
    await b.locks.pin('k', 'admin')
    expect(await stateOf(b.locks.tryAcquire('k'))).toBe('fulfilled')
  })
})
