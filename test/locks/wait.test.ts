import { describe, expect, test } from 'vitest'
import type { HeldLock } from '../../src/locks/types.ts'
import { beat, duration, errorOf, lease, type Process, type ProcessOptions, settle, stateOf, World } from './world.ts'

/** Lets time pass. @returns the pauses before each look of a waiter, in ms */
async function pauses(world: World, waiter: Process, start: () => Promise<unknown>, ms: number): Promise<number[]> {
  const from = waiter.clock.monotonic()
  const known = waiter.link.reads.length
  start().catch(() => {})
  await world.pass(ms)
  const times = [from, ...waiter.link.reads.slice(known)]
  return times.slice(1).map((time, index) => time - (times[index] as number))
}

describe('trying once', () => {
  test('M2: takes a lock that is free', async () => {
    const world = new World()
    const lock = await world.process().locks.tryAcquire('k')
    expect(lock?.isHeld()).toBe(true)
  })

  test('M2: gives null for a lock that is held', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    expect(await b.locks.tryAcquire('k')).toBeNull()
  })

  test('M2: key, holder and expiration are in the store', async () => {
    const world = new World()
    const lock = await world.process({ label: 'a' }).locks.acquire('k')
    const { key, holders, sessions } = await world.record()
    expect({ key, holders }).toMatchObject({ key: 'k', holders: [{ session: lock.session, token: lock.token }] })
    expect(sessions.get(lock.session)).toMatchObject({ label: 'a', expiresAt: world.base.now() + lease })
  })

  test('gives null for a free lock that other sessions wait for', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    b.stop()
    await lock.release()
    expect(await c.locks.tryAcquire('k', { timeout: 0 })).toBeNull()
  })

  test('leaves nothing behind when it fails', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    await b.locks.tryAcquire('k')
    expect(await world.queue()).toEqual([])
  })

  test('J2: is refused while the same session holds the lock', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    expect(await a.locks.tryAcquire('k')).toBeNull()
  })

  test('J7: acquire with timeout 0 rejects with held and shows the holder', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k', { metadata: { url: 'http://a' } })
    const error = await errorOf(b.locks.acquire('k', { timeout: 0 }))
    expect(error).toMatchObject({ code: 'held', holders: [{ session: lock.session, token: lock.token, metadata: { url: 'http://a' } }] })
    expect(await world.queue()).toEqual([])
  })

  test('steal takes the lock at once', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const stolen = await b.locks.tryAcquire('k', { steal: true })
    await settle()
    expect([lock.isHeld(), stolen?.isHeld()]).toEqual([false, true])
  })
})

describe('the queue', () => {
  test('is served in the order of the requests, across processes', async () => {
    const world = new World()
    const processes = Array.from({ length: 6 }, () => world.process())
    const [first, ...others] = processes as [Process, ...Process[]]
    const order: number[] = []
    const lock = await first.locks.acquire('k')
    for (let round = 0; round < 3; round++) {
      for (const [index, { locks }] of others.entries()) {
        locks.request('k', () => order.push(round * others.length + index))
        await settle()
      }
    }
    await lock.release()
    await world.pass(100)
    expect(order).toEqual(Array.from({ length: 15 }, (_, index) => index))
  })

  test('is served in order without a channel', async () => {
    const world = new World()
    const [first, ...others] = Array.from({ length: 6 }, () => world.process({ channel: false })) as [Process, ...Process[]]
    const order: number[] = []
    const lock = await first.locks.acquire('k')
    for (const [index, { locks }] of others.entries()) {
      locks.request('k', () => order.push(index))
      await settle()
    }
    await lock.release()
    await world.pass(2_000)
    expect(order).toEqual([0, 1, 2, 3, 4])
  })

  test('has one entry for a thousand waiters of one session', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const order: number[] = []
    const all = Array.from({ length: 1_000 }, (_, index) => b.locks.request('k', () => order.push(index)))
    await settle()
    expect(await world.queue()).toEqual(['b×1000'])
    await lock.release()
    await world.pass(5_000)
    await Promise.all(all)
    expect(order).toEqual(Array.from({ length: 1_000 }, (_, index) => index))
    expect(await world.record()).toMatchObject({ holders: [], queue: [] })
  })

  test('lets shared locks in together', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const both = [b.locks.acquire('k', { mode: 'shared' }), c.locks.acquire('k', { mode: 'shared' })]
    await settle()
    await lock.release()
    const held = await Promise.all(both)
    expect(held.map((each) => each.isHeld())).toEqual([true, true])
    expect(held.map(({ mode }) => mode)).toEqual(['shared', 'shared'])
  })

  test('lets no shared request overtake an exclusive one', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    await a.locks.acquire('k', { mode: 'shared' })
    b.locks.acquire('k').catch(() => {})
    await settle()
    const late = c.locks.acquire('k', { mode: 'shared' })
    expect(await stateOf(late)).toBe('pending')
  })
})

describe('hand-over', () => {
  test('is immediate with hints', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await world.pass(5 * lease)
    await lock.release()
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('without a channel takes at most the longest pause', async () => {
    const world = new World()
    const [a, b] = [world.process({ channel: false }), world.process({ channel: false })]
    const lock = await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await world.pass(5 * lease)
    await lock.release()
    await world.pass(100)
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('within one session needs no hint and no look', async () => {
    const world = new World()
    const a = world.process({ channel: false })
    const lock = await a.locks.acquire('k')
    const other = a.locks.acquire('k')
    await settle()
    await lock.release()
    expect(await stateOf(other)).toBe('fulfilled')
    expect(a.link.reads).toEqual([])
  })

  test('wakes only the next waiter', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    c.locks.acquire('k').catch(() => {})
    await settle()
    const hints: string[] = []
    for (const [name, { locks }] of Object.entries({ b, c })) world.store.channel.subscribe(locks.session, () => hints.push(name))
    await lock.release()
    await settle()
    expect(hints).toEqual(['b'])
  })

  test('is immediate once the channel says by an empty message that hints may have been missed, and only those who wait look', async () => {
    const world = new World()
    const [a, b] = [world.process({ channel: false }), world.process()]
    const lock = await a.locks.acquire('k')
    await (await b.locks.acquire('idle')).release()
    const waiting = b.locks.acquire('k')
    await settle()
    await lock.release()
    expect(await stateOf(waiting)).toBe('pending')
    const known = b.link.reads.length
    world.store.channel.publish(b.locks.session, {})
    await waiting
    expect(b.link.reads).toHaveLength(known + 1)
  })

  test('is not disturbed by duplicate, stray or malformed hints', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    for (let round = 0; round < 3; round++) {
      const lock = await a.locks.acquire('k')
      const other = b.locks.acquire('k')
      await settle()
      for (let count = 0; count < 5; count++) world.store.channel.publish(b.locks.session, { key: 'k' })
      world.store.channel.publish(b.locks.session, { key: 'unknown' })
      world.store.channel.publish(b.locks.session, { nonsense: true })
      await settle()
      expect(await stateOf(other)).toBe('pending')
      await lock.release()
      await (await other).release()
    }
  })
})

describe('backoff', () => {
  test('M4: starts at 10 ms, doubles, and stops at the maximum', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false, maxBackoff: 100 })]
    await a.locks.acquire('k')
    await b.locks.acquire('other')
    expect(await pauses(world, b, () => b.locks.acquire('k'), 500)).toEqual([10, 20, 40, 80, 100, 100, 100])
  })

  test('M4: starts afresh for every wait', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false })]
    await a.locks.acquire('k')
    const wait = (): Promise<unknown> => b.locks.acquire('k', { timeout: 200 })
    const first = await pauses(world, b, wait, 1_000)
    expect(await pauses(world, b, wait, 1_000)).toEqual(first)
    expect(first).toEqual([10, 20, 40, 80])
  })

  test('M4: a wait that timed out does not shorten the next one', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false })]
    await a.locks.acquire('k')
    for (let round = 0; round < 3; round++) {
      const wait = b.locks.acquire('k', { timeout: 150 })
      wait.catch(() => {})
      await world.pass(149)
      expect(await stateOf(wait)).toBe('pending')
      await world.pass(1)
      expect(await errorOf(wait)).toMatchObject({ code: 'timeout' })
    }
  })

  test('starts with 5 ms more for every place further back in the queue', async () => {
    const world = new World()
    const [a, b, c, d] = [world.process(), world.process(), world.process(), world.process({ channel: false })]
    await a.locks.acquire('k')
    await b.locks.acquire('elsewhere')
    for (const { locks } of [b, b, c]) {
      locks.acquire('k').catch(() => {})
      await settle()
    }
    expect(await pauses(world, d, () => d.locks.acquire('k'), 80)).toEqual([25, 50])
  })

  test('is jittered by a quarter either way', async () => {
    for (const [random, expected] of [
      [() => 0, [7.5, 15, 30, 60, 75]],
      [() => 1, [12.5, 25, 50, 100, 100]],
    ] as const) {
      const world = new World()
      const [a, b] = [world.process(), world.process({ channel: false, random })]
      await a.locks.acquire('k')
      const seen = await pauses(world, b, () => b.locks.acquire('k'), 290)
      expect(seen.slice(0, 4)).toEqual(expected.slice(0, 4))
    }
  })

  test('starts again when the lock has changed hands', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b' }), world.process({ channel: false })]
    const lock = await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await settle()
    c.locks.acquire('k').catch(() => {})
    await world.pass(1_000)
    await lock.release()
    await other
    const from = c.link.reads.length
    await world.pass(150)
    const [changed, next] = c.link.reads.slice(from) as [number, number]
    expect(next - changed).toBe(10)
  })

  test('looks at least eight times in each lease', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false, maxBackoff: 60_000 })]
    await a.locks.acquire('k')
    await b.locks.acquire('other')
    const seen = await pauses(world, b, () => b.locks.acquire('k'), 3_000)
    expect(Math.max(...seen)).toBe(lease / 8)
  })
})

describe('a bounded wait', () => {
  test('M4: rejects with timeout', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k', { timeout: 300 })
    wait.catch(() => {})
    await world.pass(299)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(1)
    expect(await errorOf(wait)).toMatchObject({ code: 'timeout', name: 'LockError' })
  })

  test('J7: the error shows who held the lock', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k', { timeout: 300 }))
    await world.pass(300)
    expect((await wait).holders).toMatchObject([{ session: lock.session, token: lock.token }])
  })

  test('T5: leaves no trace and never acquires', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k', { timeout: 300 }))
    await world.pass(300)
    await wait
    expect(await world.queue()).toEqual([])
    await lock.release()
    await world.pass(1_000)
    expect(await world.holders()).toEqual([])
  })

  test('does not end the waits of others in the same session', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const patient = [b.locks.acquire('k'), b.locks.acquire('k', { timeout: 5_000 })]
    const impatient = errorOf(b.locks.acquire('k', { timeout: 300 }))
    await world.pass(300)
    expect(await impatient).toMatchObject({ code: 'timeout' })
    expect(await world.queue()).toEqual(['b×2'])
    await lock.release()
    await (await patient[0])?.release()
    expect((await patient[1])?.isHeld()).toBe(true)
  })

  test('ends on time even while the store hangs', async () => {
    const world = new World()
    const a = world.process()
    a.link.break('hang')
    const wait = errorOf(a.locks.acquire('k', { timeout: 300 }))
    await world.pass(300)
    expect(await wait).toMatchObject({ code: 'timeout' })
  })
})

describe('a cancelled wait', () => {
  test("rejects with the signal's reason", async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    const reason = { mine: true }
    stop.abort(reason)
    expect(await wait).toBe(reason)
  })

  test('T5: leaves no trace and never acquires', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    stop.abort()
    await wait
    await settle()
    expect(await world.queue()).toEqual([])
    await lock.release()
    await world.pass(1_000)
    expect(await world.holders()).toEqual([])
  })

  test('T5: leaves no trace when its request was already under way', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    await b.locks.acquire('other')
    b.link.break('mute', 'request')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    stop.abort()
    await wait
    await b.link.deliver()
    expect(await world.queue()).toEqual([])
    await lock.release()
    expect(await world.holders()).toEqual([])
  })

  test('T5: releases a grant whose reply arrives after the cancellation', async () => {
    const world = new World()
    const b = world.process()
    b.link.break('mute', 'request')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    stop.abort()
    await wait
    expect(await world.holders()).toHaveLength(1)
    await b.link.deliver()
    expect(await world.holders()).toEqual([])
  })

  test('T5: releases a grant that is made just before the cancellation', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false })]
    const lock = await a.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    await lock.release()
    stop.abort()
    await wait
    await settle()
    expect(await world.record()).toMatchObject({ holders: [], queue: [] })
  })

  test('T5: releases a grant that is being confirmed', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await world.pass(2_000)
    b.stop()
    await lock.release()
    await world.pass(450)
    b.link.break('mute', 'renew')
    b.resume()
    await settle()
    stop.abort()
    await wait
    await b.link.deliver()
    expect(await world.record()).toMatchObject({ holders: [], queue: [] })
  })

  test('is withdrawn again and again while the store fails', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(b.locks.acquire('k', { signal: stop.signal }))
    await settle()
    b.link.break('fail')
    stop.abort()
    await wait
    await world.pass(3 * beat)
    b.link.mend()
    await world.pass(beat)
    expect(await world.queue()).toEqual([])
  })

  test('of a request whose reply was lost leaves no trace', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    await b.locks.acquire('other')
    b.link.break('lose', 'request')
    expect(await errorOf(b.locks.acquire('k'))).toMatchObject({ code: 'store' })
    b.link.mend()
    await settle()
    expect(await world.queue()).toEqual([])
  })

  test('with a signal that was already aborted sends nothing', async () => {
    const world = new World()
    const a = world.process()
    expect(await errorOf(a.locks.acquire('k', { signal: AbortSignal.abort('no') }))).toBe('no')
    expect(a.link.sent).toEqual([])
  })

  test('a signal that aborts after the grant changes nothing', async () => {
    const world = new World()
    const a = world.process()
    const stop = new AbortController()
    const lock = await a.locks.acquire('k', { signal: stop.signal })
    stop.abort()
    await settle()
    expect(lock.isHeld()).toBe(true)
  })

  test('leaves no trace, even if a thousand are cancelled at once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const stop = new AbortController()
    const all = Array.from({ length: 1_000 }, () => errorOf(b.locks.acquire('k', { signal: stop.signal })))
    await settle()
    stop.abort('enough')
    expect(new Set(await Promise.all(all))).toEqual(new Set(['enough']))
    await settle()
    expect(await world.queue()).toEqual([])
    await lock.release()
    await world.pass(1_000)
    expect(await world.holders()).toEqual([])
  })

  test('leaves no trace, even if a thousand are cancelled before they reach the store', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const stop = new AbortController()
    const all = Array.from({ length: 1_000 }, () => errorOf(b.locks.acquire('k', { signal: stop.signal })))
    stop.abort('enough')
    await Promise.all(all)
    await settle()
    expect(await world.queue()).toEqual([])
  })

  test('leaves the other waiters in their order', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const order: number[] = []
    const stop = new AbortController()
    for (let index = 0; index < 5; index++) {
      b.locks.request('k', { ...(index === 2 && { signal: stop.signal }) }, () => order.push(index)).catch(() => {})
    }
    await settle()
    stop.abort()
    await lock.release()
    await world.pass(100)
    expect(order).toEqual([0, 1, 3, 4])
  })
})

describe('a grant that another session made', () => {
  /** `b` waits behind `a`, and looks rarely. */
  async function waiting(world: World, more: ProcessOptions = {}): Promise<{ a: Process; b: Process; lock: HeldLock; wait: Promise<HeldLock> }> {
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b', ...more })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    wait.catch(() => {})
    await settle()
    return { a, b, lock, wait }
  }

  test('is used at once and confirmed meanwhile', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    b.link.break('hang', 'renew')
    await lock.release()
    expect((await wait).isHeld()).toBe(true)
    expect((await world.record()).holders).toMatchObject([{ unconfirmed: { confirm: 500, lapses: 0 } }])
  })

  test('lasts, until it is confirmed, for three quarters of its short lease from the last look before it', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    await world.pass(100)
    const seen = b.link.reads.at(-1) as number
    b.link.break('hang', 'renew')
    await lock.release()
    const got = await wait
    await world.pass(seen + 375 - b.clock.monotonic() - 1)
    expect(got.isHeld()).toBe(true)
    await world.pass(1)
    expect(got.isHeld()).toBe(false)
    expect(got.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('is used on a hint alone, before the store has answered, and confirmed at once', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    b.link.break('hang')
    await lock.release()
    const got = await wait
    expect([got.isHeld(), got.token]).toEqual([true, (await world.record()).token])
    b.link.mend()
    await world.pass(60)
    expect((await world.record()).holders[0]?.unconfirmed).toBeUndefined()
  })

  test('is not used on a hint that is older than the last look, is malformed, or names another request', async () => {
    const world = new World()
    const { a, b, lock, wait } = await waiting(world)
    const { token } = await world.record()
    const grants = [
      { number: 1, token, previous: 0 },
      { number: 2, token: token + 9, previous: token },
      { number: 1, token: `${token + 9}`, previous: token },
      { number: 1.5, token: token + 9, previous: token },
      { token: token + 9, previous: token },
      { number: 1, token: token + 9 },
    ]
    for (const grant of grants) {
      const looks = b.link.reads.length
      a.link.channel?.publish(b.locks.session, { key: 'k', ...grant })
      await settle()
      expect([await stateOf(wait), b.link.reads.length - looks]).toEqual(['pending', 1])
    }
    expect(lock.isHeld()).toBe(true)
  })

  test('is not used on a hint alone if the channel is not trusted: the store has to confirm it first', async () => {
    const world = new World()
    const a = world.process()
    const b = world.process()
    Object.assign(b.link.channel as object, { trusted: false })
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    const { token } = await world.record()
    const forged = { key: 'k', number: 1, token: token + 9, previous: token }
    a.link.channel?.publish(b.locks.session, forged)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(0)
    b.link.break('stall', 'renew')
    await lock.release()
    expect(await stateOf(wait)).toBe('pending')
    b.link.mend()
    await b.link.deliver()
    expect((await wait).isHeld()).toBe(true)
    expect(await world.holders()).toHaveLength(1)
  })

  test('is not used on a hint whose key is not a string', async () => {
    const world = new World()
    const a = world.process()
    const b = world.process()
    for (const key of ['7', 'true', 'null', 'undefined']) {
      await a.locks.acquire(key)
      const wait = b.locks.acquire(key)
      await settle()
      const { token } = await world.record(key)
      const grant = { number: 1, token: token + 9, previous: token }
      const keys = { 7: 7, true: true, null: null }
      a.link.channel?.publish(b.locks.session, { ...grant, ...(key in keys && { key: keys[key as keyof typeof keys] }) })
      expect(await stateOf(wait)).toBe('pending')
    }
  })

  test('is not used on a hint that names a grant of another request', async () => {
    const world = new World()
    const a = world.process()
    const b = world.process()
    Object.assign(b.link.channel as object, { trusted: false })
    const lock = await a.locks.acquire('k')
    const first = b.locks.acquire('k')
    const second = b.locks.acquire('k')
    await settle()
    b.link.break('stall', 'renew')
    await lock.release()
    const { token, holders } = await world.record()
    a.link.channel?.publish(b.locks.session, { key: 'k', number: 2, token, previous: holders[0]?.previous as number })
    await settle()
    b.link.mend()
    await b.link.deliver()
    expect([(await first).isHeld(), await stateOf(second)]).toEqual([true, 'pending'])
  })

  test('is not used on a hint once it may have lapsed', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    b.link.break('hang', 'read')
    await world.pass(400)
    await lock.release()
    expect(await stateOf(wait)).toBe('pending')
  })

  test('that was used on a hint and revoked meanwhile is lost when its confirmation is refused', async () => {
    const world = new World()
    const { a, b, lock, wait } = await waiting(world)
    b.link.break('stall', 'renew')
    await lock.release()
    const got = await wait
    await a.locks.revoke('k')
    await world.pass(0)
    b.link.mend()
    await b.link.deliver()
    expect(got.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('lasts the whole duration from the confirmation', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    await lock.release()
    const got = await wait
    await world.pass(0)
    b.link.break('hang')
    await world.pass(duration - 1)
    expect(got.isHeld()).toBe(true)
    await world.pass(1)
    expect(got.isHeld()).toBe(false)
  })

  test('leans on the session once it is confirmed', async () => {
    const world = new World()
    const { lock, wait } = await waiting(world)
    await lock.release()
    const got = await wait
    await world.pass(0)
    const [holder] = (await world.record()).holders
    expect(holder?.unconfirmed).toBeUndefined()
    expect(holder?.seq).toBeUndefined()
    await world.pass(5 * lease)
    expect(got.isHeld()).toBe(true)
  })

  test('has its confirmation repeated while the store fails', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    b.link.break('fail', 'renew')
    await lock.release()
    const got = await wait
    await world.pass(200)
    b.link.mend()
    await world.pass(lease)
    expect(got.isHeld()).toBe(true)
    expect(b.warnings).toMatchObject([{ type: 'renewal', names: ['k'] }])
  })

  test('is confirmed before it is used if the waiter hears of it late', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    b.stop()
    await lock.release()
    await world.pass(400)
    b.link.break('mute', 'renew')
    b.resume()
    expect(await stateOf(wait)).toBe('pending')
    await b.link.deliver()
    expect((await wait).isHeld()).toBe(true)
  })

  test('that is not confirmed in time sends its waiter to the back of the queue', async () => {
    const world = new World()
    const { b, lock } = await waiting(world)
    const c = world.process({ label: 'c' })
    const other = c.locks.acquire('k')
    await settle()
    b.stop()
    await lock.release()
    expect(await world.holders()).toEqual(['b'])
    await world.pass(1_000)
    expect(await stateOf(other)).toBe('fulfilled')
    expect(await world.queue()).toEqual(['b×1'])
    await (await other).release()
    b.resume()
    await world.pass(200)
    expect(await world.holders()).toEqual(['b'])
  })

  test('that lapsed three times drops its waiter, which requests again when it wakes', async () => {
    const world = new World()
    const { b, lock, wait } = await waiting(world)
    const c = world.process({ label: 'c' })
    b.stop()
    await lock.release()
    for (let round = 0; round < 3; round++) {
      const got = c.locks.acquire('k')
      await world.pass(1_000)
      await (await got).release()
    }
    expect(await world.record()).toMatchObject({ holders: [], queue: [] })
    b.resume()
    await world.pass(200)
    expect((await wait).isHeld()).toBe(true)
  })

  /** A grant that b used and that has lapsed. Then c waits for the lock, and the commands that b sends about the grant have not reached the store. */
  async function lapsed(world: World) {
    // No hint and no beat tells b what happens to its request.
    const { b, lock, wait } = await waiting(world, { channel: false, duration: 60_000 })
    b.link.break('stall', 'renew', 'release')
    await lock.release()
    await world.pass(200)
    const got = await wait
    const next = world.process({ label: 'c' }).locks.acquire('k')
    await world.pass(2_000)
    return { b, got, next }
  }

  test('that was used and lapsed before it was confirmed leaves no request at the end of the queue', async () => {
    const world = new World()
    const { b, got, next } = await lapsed(world)
    expect([got.isHeld(), await world.holders(), (await world.record()).queue.length]).toEqual([false, ['c'], 1])
    b.link.mend()
    await b.link.deliver()
    await world.pass(100)
    expect(await world.queue()).toEqual([])
    await (await next).release()
    await world.pass(2_000)
    expect(await world.record()).toMatchObject({ holders: [], queue: [] })
  })

  test.each([
    ['although the store fails every read', async ({ link }: Process) => link.break('fail', 'read')],
    [
      'although its session has used a hundred other locks since',
      async ({ locks }: Process) => {
        for (let n = 0; n < 101; n++) await (await locks.acquire(`other ${n}`)).release()
      },
    ],
  ])('that was used and lapsed leaves no request at the end of the queue %s', async (_, meanwhile) => {
    const world = new World()
    const { b } = await lapsed(world)
    expect((await world.record()).queue).toHaveLength(1)
    b.link.mend()
    await meanwhile(b)
    await b.link.deliver()
    await world.pass(10)
    expect((await world.record()).queue).toEqual([])
  })

  test('that was used and lapsed, and whose request was granted again before its session noticed, is released', async () => {
    const world = new World()
    const { b, next } = await lapsed(world)
    // No session waits behind b, so none observes b's new grant.
    await (await next).release()
    expect(await world.holders()).toEqual(['b'])
    b.link.mend()
    await b.link.deliver()
    await world.pass(100)
    expect(await world.holders()).toEqual([])
  })

  test('to an unknown request of this session is released at once', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('other')
    const request = { type: 'request', key: 'k', session: lock.session, client: 'x', number: 77, mode: 'exclusive', confirm: 500 } as const
    await world.store.apply([request])
    const own = a.locks.acquire('k')
    await world.pass(100)
    expect((await own).isHeld()).toBe(true)
    expect((await world.record()).holders).toHaveLength(1)
  })
})

describe('a silent waiter', () => {
  test('with a beacon never writes while it waits', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    const sent = b.link.sent.length
    await world.pass(10 * lease)
    expect(b.link.sent.length).toBe(sent)
  })

  test('without a beacon is challenged by the waiter behind it, and answers', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b', beacon: false }), world.process({ label: 'c' })]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    c.locks.acquire('k').catch(() => {})
    await settle()
    await world.pass(5 * lease)
    expect(c.link.count('challenge')).toBeGreaterThan(0)
    expect(await world.queue()).toEqual(['b×1', 'c×1'])
  })

  test('without a beacon is dropped when it does not answer', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b', beacon: false }), world.process({ label: 'c' })]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await settle()
    c.locks.acquire('k').catch(() => {})
    await settle()
    b.stop()
    await world.pass(2 * lease + 500)
    expect(await world.queue()).toEqual(['c×1'])
  })

  test('whose session was ended does not block the waiters behind it', async () => {
    const world = new World()
    const [h, e, s] = [world.process(), world.process(), world.process()]
    await h.locks.acquire('k', { mode: 'shared' })
    e.locks.acquire('k')
    await settle()
    const shared = s.locks.acquire('k', { mode: 'shared' })
    await settle()
    e.stop()
    // Any session's heartbeat ends a session whose row has been silent for very long, even if it waits for nothing itself.
    await h.link.apply([{ type: 'end', session: e.locks.session }])
    await world.pass(lease)
    expect(await stateOf(shared)).toBe('fulfilled')
    expect(await world.queue()).toEqual([])
  })

  test('that was dropped requests again when it wakes, and gets the lock', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b', beacon: false }), world.process({ label: 'c' })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    c.locks.acquire('k').catch(() => {})
    await settle()
    b.stop()
    await world.pass(2 * lease + 500)
    b.resume()
    await world.pass(200)
    expect(await world.queue()).toEqual(['c×1', 'b×1'])
    await lock.release()
    await settle()
    await c.locks.close()
    expect(await stateOf(wait)).toBe('fulfilled')
  })
})

test('a grant whose reply arrives after another session took the lock over is not held, although its session has sent beats since', async () => {
  const world = new World()
  const [a, b] = [world.process({ label: 'a', beacon: false }), world.process({ label: 'b' })]
  await (await a.locks.acquire('other')).release()
  // Otherwise the wait would end after a lease without an answer.
  Object.assign(a.link, { isBusy: () => true })
  a.link.break('mute', 'request')
  const wait = a.locks.acquire('k')
  await settle()
  a.link.mend()
  const taken = b.locks.acquire('k')
  await world.pass(2 * lease)
  expect((await taken).isHeld()).toBe(true)
  const other = await a.locks.acquire('other')
  await world.pass(3 * beat)
  await a.link.deliver()
  expect([await stateOf(wait), other.isHeld(), await world.holders()]).toEqual(['pending', true, ['b']])
  await (await taken).release()
  expect((await wait).isHeld()).toBe(true)
})
