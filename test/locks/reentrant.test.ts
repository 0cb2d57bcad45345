import { describe, expect, test } from 'vitest'
import type { Guard } from '../../src/locks/types.ts'
import { duration, errorOf, lease, settle, stateOf, World } from './world.ts'

describe('a re-entrant lock', () => {
  test('J2, M1: is taken many times by the same process', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    const guards = [await crypto.acquire(), await crypto.acquire(), await crypto.tryAcquire()]
    expect(guards.map((guard) => guard?.isHeld())).toEqual([true, true, true])
    expect(new Set(guards.map((guard) => guard?.token)).size).toBe(1)
  })

  test('M1: is held while it has at least one user', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    expect(crypto.isHeld()).toBe(false)
    const guards = [await crypto.acquire(), await crypto.acquire()]
    await guards[0]?.release()
    expect(crypto.isHeld()).toBe(true)
    await guards[1]?.release()
    expect(crypto.isHeld()).toBe(false)
  })

  test('M1: cloning a guard counts', async () => {
    const world = new World()
    const crypto = world.process({ label: 'a' }).locks.reentrant('k')
    const guard = await crypto.acquire()
    const clone = guard.clone()
    await guard.release()
    expect([guard.isHeld(), clone.isHeld(), await world.holders()]).toEqual([false, true, ['a']])
    await clone.release()
    expect(await world.holders()).toEqual([])
  })

  test('M1: acquiring a held lock does not touch the store', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    const guard = await crypto.acquire()
    const sent = a.link.sent.length
    for (let round = 0; round < 100; round++) await (await crypto.acquire()).release()
    expect(a.link.sent.length).toBe(sent)
    await guard.release()
  })

  test('M5: is released at once when its last guard is', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const crypto = a.locks.reentrant('k')
    const guards = await Promise.all([crypto.acquire(), crypto.acquire(), crypto.acquire()])
    const other = b.locks.reentrant('k').acquire()
    await settle()
    for (const guard of guards) {
      expect(await stateOf(other)).toBe('pending')
      await guard.release()
    }
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('T5: releasing a guard twice is harmless', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    const [one, two] = [await crypto.acquire(), await crypto.acquire()]
    await Promise.all([one.release(), one.release(), one.release()])
    expect([one.isHeld(), two.isHeld(), crypto.isHeld()]).toEqual([false, true, true])
  })

  test('M2: excludes other processes', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.reentrant('k').acquire()
    expect(await b.locks.reentrant('k').tryAcquire()).toBeNull()
    expect(await errorOf(b.locks.reentrant('k').acquire({ timeout: 0 }))).toMatchObject({ code: 'held' })
  })

  test('excludes plain locks of the same process', async () => {
    const world = new World()
    const { locks } = world.process()
    await locks.reentrant('k').acquire()
    expect(await locks.tryAcquire('k')).toBeNull()
  })

  test('M8: is found again by its name while guards are held', async () => {
    const world = new World()
    const { locks } = world.process()
    const guard = await locks.reentrant('k').acquire()
    expect(locks.reentrant('k')).toBe(locks.reentrant('k'))
    expect(locks.reentrant('k').isHeld()).toBe(true)
    expect((await locks.reentrant('k').acquire()).token).toBe(guard.token)
    expect(locks.reentrant('l')).not.toBe(locks.reentrant('k'))
  })

  test('M8: dropping the object while guards are held releases nothing', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const guard = await a.locks.reentrant('k').acquire()
    await world.pass(5 * lease)
    expect([guard.isHeld(), await world.holders()]).toEqual([true, ['a']])
  })

  test('is renewed for as long as it has a user', async () => {
    const world = new World()
    const guard = await world.process().locks.reentrant('k', { duration: 500 }).acquire()
    await world.pass(10_000)
    expect(guard.isHeld()).toBe(true)
  })

  test('M5: is released by await using', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    {
      await using guard = await crypto.acquire()
      await using again = guard.clone()
      expect(again.isHeld()).toBe(true)
    }
    expect(await world.holders()).toEqual([])
  })

  test('rejects with store when its release fails for good, but disposal never does', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    const guard = await crypto.acquire()
    const other = await a.locks.reentrant('l').acquire()
    a.link.break('fail')
    const gone = errorOf(guard.release())
    const disposed = other[Symbol.asyncDispose]()
    await world.pass(2 * lease)
    expect(await gone).toMatchObject({ code: 'store' })
    await expect(disposed).resolves.toBeUndefined()
  })

  test('F5: has metadata that other sessions can read', async () => {
    const world = new World()
    await world
      .process()
      .locks.reentrant('k', { metadata: { url: 'x' } })
      .acquire()
    expect((await world.process().locks.query('k')).held).toMatchObject([{ metadata: { url: 'x' } }])
  })
})

describe('a lost lease', () => {
  test('invalidates every held guard', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    const guard = await crypto.acquire()
    const guards = [guard, await crypto.acquire(), guard.clone()]
    a.link.break('fail')
    await world.pass(duration)
    expect(guards.map((each) => each.isHeld())).toEqual([false, false, false])
    for (const each of guards) {
      expect(each.signal.reason).toMatchObject({ code: 'lost' })
      expect(() => each.assertHeld()).toThrow(expect.objectContaining({ code: 'lost' }))
      expect(() => each.clone()).toThrow(expect.objectContaining({ code: 'lost' }))
    }
    expect(crypto.isHeld()).toBe(false)
  })

  test('M6: makes the next acquisition dirty if another session had the lock meanwhile', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const crypto = a.locks.reentrant('k')
    await crypto.acquire()
    a.link.break('fail')
    await world.pass(duration)
    a.link.mend()
    await world.pass(500)
    await (await b.locks.acquire('k')).release()
    await crypto.acquire()
    expect(crypto.dirty).toBe(true)
  })

  test('leaves guards that do not count for the next hold', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const crypto = a.locks.reentrant('k')
    const old = await crypto.acquire()
    a.link.break('fail')
    await world.pass(duration)
    a.link.mend()
    await world.pass(500)
    const guard = await crypto.acquire()
    expect(guard.token).toBeGreaterThan(old.token)
    await old.release()
    expect([guard.isHeld(), await world.holders()]).toEqual([true, ['a']])
    await guard.release()
    expect(await world.holders()).toEqual([])
  })

  test('differs from a release: a released guard fails with not-held', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    const [guard] = [await crypto.acquire(), await crypto.acquire()]
    await guard.release()
    expect(() => guard.assertHeld()).toThrow(expect.objectContaining({ code: 'not-held' }))
    expect(() => guard.clone()).toThrow(expect.objectContaining({ code: 'not-held' }))
  })
})

describe('dirty', () => {
  test('M6: is false if the lock was never held', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    expect(crypto.dirty).toBe(false)
    await crypto.acquire()
    expect(crypto.dirty).toBe(false)
  })

  test('M6: is false if only this context has held the lock since', async () => {
    const world = new World()
    const { locks } = world.process()
    const crypto = locks.reentrant('k')
    for (let round = 0; round < 3; round++) await (await crypto.acquire()).release()
    await (await locks.acquire('k')).release()
    await (await crypto.acquire()).release()
    expect(crypto.dirty).toBe(false)
  })

  test('M6: is true for a first acquisition if another session held the lock before', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await (await a.locks.acquire('k')).release()
    const crypto = b.locks.reentrant('k')
    await crypto.acquire()
    expect(crypto.dirty).toBe(true)
  })

  test('M6: is true if another session has held the lock since', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const crypto = a.locks.reentrant('k')
    await (await crypto.acquire()).release()
    await (await b.locks.acquire('k')).release()
    expect(crypto.dirty).toBe(false)
    await crypto.acquire()
    expect(crypto.dirty).toBe(true)
  })

  test('M6: stays until clearDirty', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const crypto = a.locks.reentrant('k')
    await (await b.locks.acquire('k')).release()
    for (let round = 0; round < 3; round++) {
      await (await crypto.acquire()).release()
      expect(crypto.dirty).toBe(true)
    }
    crypto.clearDirty()
    expect(crypto.dirty).toBe(false)
    await (await crypto.acquire()).release()
    expect(crypto.dirty).toBe(false)
  })

  test('M6: takes plain locks of the same context into account', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const dirty: boolean[] = []
    for (const { locks } of [a, a, b, b, a]) {
      await using lock = await locks.acquire('k')
      dirty.push(lock.dirty)
    }
    expect(dirty).toEqual([false, false, true, false, true])
  })

  test('M6: is separate for each name', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await (await b.locks.acquire('k')).release()
    await a.locks.reentrant('k').acquire()
    await a.locks.reentrant('l').acquire()
    expect([a.locks.reentrant('k').dirty, a.locks.reentrant('l').dirty]).toEqual([true, false])
  })

  test('M6: survives the end of a session', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    await crypto.acquire()
    a.link.loseBeacon()
    await settle()
    await crypto.acquire()
    expect(crypto.dirty).toBe(false)
    await world.process().locks.acquire('k', { steal: true })
    await settle()
    await world.store.apply([{ type: 'revoke', key: 'k' }])
    await crypto.acquire()
    expect(crypto.dirty).toBe(true)
  })
})

describe('callers at the same time', () => {
  test('share one request', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const guard = await a.locks.reentrant('k').acquire()
    const crypto = b.locks.reentrant('k')
    const waits = Array.from({ length: 100 }, () => crypto.acquire())
    await settle()
    expect(await world.queue()).toEqual(['b×1'])
    expect(b.link.count('request')).toBe(1)
    await guard.release()
    const guards = await Promise.all(waits)
    expect(new Set(guards.map(({ token }) => token)).size).toBe(1)
    await Promise.all(guards.map((each) => each.release()))
    expect(await world.holders()).toEqual([])
  })

  test('share one try', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    const guards = await Promise.all([crypto.tryAcquire(), crypto.tryAcquire(), crypto.acquire()])
    expect(guards.map((guard) => guard?.isHeld())).toEqual([true, true, true])
    expect(a.link.count('request')).toBe(1)
  })

  test('M4: each have their own timeout', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const guard = await a.locks.reentrant('k').acquire()
    const crypto = b.locks.reentrant('k')
    const [short, long, patient] = [crypto.acquire({ timeout: 100 }), crypto.acquire({ timeout: 500 }), crypto.acquire()]
    short.catch(() => {})
    long.catch(() => {})
    await world.pass(100)
    expect(await errorOf(short)).toMatchObject({ code: 'timeout', holders: [{ token: guard.token }] })
    expect(await stateOf(long)).toBe('pending')
    await world.pass(400)
    expect(await errorOf(long)).toMatchObject({ code: 'timeout' })
    expect(await world.queue()).toEqual(['b×1'])
    await guard.release()
    expect((await patient).isHeld()).toBe(true)
  })

  test('T5: withdraw the request when the last of them gives up', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    await a.locks.reentrant('k').acquire()
    const crypto = b.locks.reentrant('k')
    const stop = [new AbortController(), new AbortController()] as const
    const waits = stop.map(({ signal }) => errorOf(crypto.acquire({ signal })))
    await settle()
    stop[0].abort('one')
    expect(await waits[0]).toBe('one')
    await settle()
    expect(await world.queue()).toEqual(['b×1'])
    stop[1].abort('two')
    expect(await waits[1]).toBe('two')
    await settle()
    expect(await world.queue()).toEqual([])
  })

  test('make a new request after all earlier callers have given up', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const guard = await a.locks.reentrant('k').acquire()
    const crypto = b.locks.reentrant('k')
    const stop = new AbortController()
    const first = errorOf(crypto.acquire({ signal: stop.signal }))
    await settle()
    stop.abort()
    const second = crypto.acquire()
    await first
    await settle()
    expect(await world.queue()).toEqual(['b×1'])
    await guard.release()
    expect((await second).isHeld()).toBe(true)
  })

  test('M4: time out also while another caller observes a holder that looks dead', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    a.crash()
    await world.pass(10 * lease)
    const crypto = b.locks.reentrant('k')
    const tried = crypto.tryAcquire()
    const bounded = errorOf(crypto.acquire({ timeout: 100 }))
    await world.pass(100)
    expect(await stateOf(bounded)).toBe('fulfilled')
    expect(await bounded).toMatchObject({ code: 'timeout' })
    await world.pass(2 * lease)
    expect((await tried)?.isHeld()).toBe(true)
  })

  test('send nothing for a caller with an aborted signal', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    expect(await errorOf(crypto.acquire({ signal: AbortSignal.abort('no') }))).toBe('no')
    await settle()
    expect(a.link.sent).toEqual([])
    await crypto.acquire()
    const sent = a.link.sent.length
    expect(await errorOf(crypto.acquire({ signal: AbortSignal.abort('no') }))).toBe('no')
    await settle()
    expect(a.link.sent.length).toBe(sent)
  })

  test('all get the error of the store, and the next call asks again', async () => {
    const world = new World()
    const a = world.process()
    const crypto = a.locks.reentrant('k')
    a.link.break('fail')
    const errors = await Promise.all([crypto.tryAcquire(), crypto.acquire(), crypto.acquire()].map(errorOf))
    expect(errors.map(({ code }) => code)).toEqual(['store', 'store', 'store'])
    a.link.mend()
    expect((await crypto.acquire()).isHeld()).toBe(true)
  })

  test('under Promise.all share one hold, and the last one releases it', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const crypto = a.locks.reentrant('k')
    const tokens: number[] = []
    const work = async (guard: Guard): Promise<void> => {
      await using held = guard
      tokens.push(held.token)
    }
    await Promise.all([1, 2, 3].map(async () => work(await crypto.acquire())))
    expect(new Set(tokens).size).toBe(1)
    expect(await world.holders()).toEqual([])
  })

  test('never get a guard of a hold that another caller has just released', async () => {
    const world = new World()
    const { locks } = world.process()
    const crypto = locks.reentrant('k')
    const guards = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const guard = await crypto.acquire()
        const held = guard.isHeld()
        await guard.release()
        return held
      }),
    )
    expect(new Set(guards)).toEqual(new Set([true]))
  })

  test('that wait beside a try that is released at once get the lock after it', async () => {
    const crypto = new World().process().locks.reentrant('k')
    const trying = crypto.tryAcquire().then((guard) => guard?.release())
    const guards = await Promise.all([crypto.acquire(), crypto.acquire(), crypto.acquire()])
    await trying
    expect(guards.map((guard) => guard.isHeld())).toEqual([true, true, true])
  })

  test('that wait beside a try that is released at once wait no longer than their own timeout', async () => {
    const world = new World()
    const a = world.process()
    a.link.latency = () => 40
    const crypto = a.locks.reentrant('k')
    const trying = crypto.tryAcquire().then((guard) => guard?.release())
    const late = errorOf(crypto.acquire({ timeout: 170 }))
    await world.pass(300)
    expect(await stateOf(late)).toBe('fulfilled')
    expect(await late).toMatchObject({ code: 'timeout' })
    await trying
  })

  test('get null from tryAcquire while others in the process wait', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const crypto = b.locks.reentrant('k')
    crypto.acquire().catch(() => {})
    await settle()
    expect(await crypto.tryAcquire()).toBeNull()
  })

  test('are refused with invalid options', async () => {
    const world = new World()
    const crypto = world.process().locks.reentrant('k')
    for (const timeout of [Number.NaN, -1, '5' as never, 2 ** 53]) {
      expect(await errorOf(crypto.acquire({ timeout }))).toBeInstanceOf(RangeError)
      expect(await errorOf(crypto.tryAcquire({ timeout }))).toBeInstanceOf(RangeError)
    }
    expect(await errorOf(crypto.acquire({ signal: {} as never }))).toBeInstanceOf(TypeError)
  })
})

test('`dirty` can be read and cleared after the locks are closed', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const [crypto, other] = [a.locks.reentrant('k'), a.locks.reentrant('other')]
  await (await crypto.acquire()).release()
  await (await b.locks.acquire('k')).release()
  await (await crypto.acquire()).release()
  await a.locks.close()
  expect(crypto.dirty).toBe(true)
  crypto.clearDirty()
  expect([crypto.dirty, other.dirty]).toEqual([false, false])
})
