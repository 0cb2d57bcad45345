import { describe, expect, test } from 'vitest'
import { duration, errorOf, settle, World } from './world.ts'

describe('maxHold', () => {
  test('ends a lock that is still being renewed, and the next waiter gets it at once', async () => {
    const world = new World()
    const [a, b] = [world.process({ maxHold: 5_000, label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const next = b.locks.acquire('k')
    await world.pass(4_999)
    expect(lock.isHeld()).toBe(true)
    await world.pass(2)
    expect(lock.signal.reason).toMatchObject({ code: 'lost', reason: 'expired', message: 'lost "k": it was held for its maxHold' })
    expect((await next).isHeld()).toBe(true)
    expect(await world.holders()).toEqual(['b'])
  })

  test('of a request overrides that of createLocks, for every kind of request', async () => {
    const world = new World()
    const { locks } = world.process({ maxHold: 100_000 })
    const held = [
      await locks.acquire('a', { maxHold: 300 }),
      await locks.tryAcquire('b', { maxHold: 300 }),
      await locks.reentrant('c', { maxHold: 300 }).acquire(),
    ]
    const request = errorOf(locks.request('d', { maxHold: 300 }, ({ signal }) => new Promise((done) => signal.addEventListener('abort', done))))
    await settle()
    await world.pass(299)
    expect(held.map((lock) => lock?.isHeld())).toEqual([true, true, true])
    await world.pass(2)
    expect(held.map((lock) => lock?.isHeld())).toEqual([false, false, false])
    expect(await request).toMatchObject({ code: 'lost', reason: 'expired' })
    expect((await locks.query()).held).toEqual([])
  })

  test('is not extended by a manual renewal, however long, or by a pin', async () => {
    const world = new World()
    const { locks } = world.process({ maxHold: 500 })
    const lock = await locks.acquire('k')
    await locks.pin('k', 'p')
    await lock.renew(60_000)
    await world.pass(501)
    expect(lock.isHeld()).toBe(false)
    expect((await locks.query('k')).held).toEqual([])
  })

  test('is exact even if no timer has run', async () => {
    const world = new World()
    const a = world.process({ maxHold: 500 })
    const lock = await a.locks.acquire('k')
    a.stop()
    await world.pass(501)
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([false, true])
    a.resume()
    await settle()
  })

  test('counts from the start of each use of a lingering lock', async () => {
    const world = new World()
    const { locks } = world.process({ maxHold: 500, linger: 60_000, duration: 10_000 })
    await (await locks.acquire('k')).release()
    await world.pass(2_000)
    const again = await locks.acquire('k')
    await world.pass(499)
    expect(again.isHeld()).toBe(true)
    await world.pass(2)
    expect(again.isHeld()).toBe(false)
  })

  test('is off by default: a lock may be renewed for ever', async () => {
    const world = new World()
    const lock = await world.process().locks.acquire('k')
    await world.pass(1_000 * duration)
    expect(lock.isHeld()).toBe(true)
  })

  test.each([0, -1, Number.NaN, Infinity, '5s'])('of %s is rejected', async (maxHold) => {
    const world = new World()
    expect(() => world.process({ maxHold: maxHold as number })).toThrow(/^maxHold is a number of milliseconds from 1 to/)
    const { locks } = world.process()
    const wrong = { maxHold: maxHold as number }
    for (const call of [locks.acquire('k', wrong), locks.tryAcquire('k', wrong), locks.request('k', wrong, () => {})])
      expect((await errorOf(call)).message).toMatch(/^maxHold is a number of milliseconds from 1 to/)
    expect(() => locks.reentrant('k', wrong)).toThrow(RangeError)
  })
})
