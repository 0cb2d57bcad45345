import { describe, expect, test } from 'vitest'
import { beat, duration, errorOf, lease, settle, stateOf, World } from './world.ts'

const steps = [-86_400_000, -10 * lease, -lease, -duration / 2, duration / 2, lease, 10 * lease, 86_400_000]

describe('J11: steps of the wall clock', () => {
  test.each(steps)('by %d ms lose no healthy hold', async (step) => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    for (let round = 0; round < 3; round++) {
      await world.pass(300)
      world.stepWall(step)
      expect(lock.isHeld()).toBe(true)
    }
    await world.pass(5 * lease)
    expect([lock.isHeld(), await stateOf(wait), b.link.count('expire')]).toEqual([true, 'pending', 0])
  })

  test.each(steps)('by %d ms in only one process neither lose nor take a lock', async (step) => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await world.pass(300)
    b.wall = step
    await world.pass(3 * lease)
    a.wall = -step
    await world.pass(3 * lease)
    expect([lock.isHeld(), await stateOf(wait)]).toEqual([true, 'pending'])
  })

  test.each(steps)('by %d ms do not keep a waiter from taking over from a silent holder', async (step) => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await world.pass(300)
    a.crash()
    world.stepWall(step)
    await world.pass(lease + lease / 8)
    expect((await wait).isHeld()).toBe(true)
  })

  test.each(steps)('by %d ms keep the tokens rising', async (step) => {
    const world = new World()
    const a = world.process()
    const tokens: number[] = []
    for (let round = 0; round < 4; round++) {
      const lock = await a.locks.acquire('k')
      tokens.push(lock.token)
      await lock.release()
      world.stepWall(step)
    }
    expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => x - y))
  })

  test('J11: durations mean the same in every time zone', async () => {
    const zone = process.env.TZ
    const deadlines: number[] = []
    for (const each of ['Pacific/Kiritimati', 'Etc/GMT+12']) {
      process.env.TZ = each
      const world = new World()
      const lock = await world.process().locks.acquire('k', { renew: 'manual' })
      lock.signal.onabort = () => deadlines.push(world.base.monotonic())
      await world.pass(2 * duration)
    }
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
    expect(deadlines).toEqual([duration, duration])
  })
})

describe('sleep', () => {
  test('longer than the duration aborts a signal that was taken before it, even before any timer has run', async () => {
    const world = new World()
    const a = world.process()
    const { signal } = await a.locks.acquire('k')
    expect([signal.aborted, signal.throwIfAborted()]).toEqual([false, undefined])
    a.stop()
    await world.pass(duration)
    expect(() => signal.throwIfAborted()).toThrow(expect.objectContaining({ code: 'lost' }))
    expect([signal.aborted, signal.reason.code]).toEqual([true, 'lost'])
    a.resume()
  })

  test('shorter than the duration loses nothing', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await world.pass(beat / 2)
    await world.sleep(duration - beat)
    await world.pass(lease)
    expect(lock.isHeld()).toBe(true)
  })

  test('longer than the duration loses the lock, as the first `isHeld` shows', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    const seen: boolean[] = []
    a.clock.after(duration, () => seen.push(lock.isHeld()))
    await world.sleep(2 * duration)
    expect(seen).toEqual([false])
    expect(lock.signal.aborted).toBe(true)
  })

  test('of the whole machine leaves the holder its lock if its duration is not over', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await world.pass(beat / 2)
    await world.sleep(duration - beat)
    await world.pass(3 * lease)
    expect([lock.isHeld(), await stateOf(wait)]).toEqual([true, 'pending'])
  })

  test('of the whole machine does not count as silence: a waiter takes over only after it has observed for a lease', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await world.pass(beat / 2)
    a.crash()
    await world.sleep(100 * lease)
    await world.pass(lease / 2)
    expect(await stateOf(wait)).toBe('pending')
  })

  test('that only the wall clock shows makes `isHeld` false after a late timer, until a renewal has succeeded', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await world.pass(beat / 2)
    a.link.break('stall', 'beat')
    // The monotonic clock ran for only a part of the sleep.
    await world.sleep(2 * beat)
    world.stepWall(100 * duration)
    expect(lock.isHeld()).toBe(false)
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'lost' }))
    expect(lock.signal.aborted).toBe(false)
    a.link.mend()
    await a.link.deliver()
    await world.pass(beat)
    expect(lock.isHeld()).toBe(true)
  })

  test('that only the wall clock shows makes `isHeld` false at once where the store spans machines', async () => {
    const world = new World()
    const a = world.process({ spansMachines: true })
    const lock = await a.locks.acquire('k')
    await world.pass(beat / 2)
    world.stepWall(lease)
    expect(lock.isHeld()).toBe(false)
    await world.pass(beat)
    expect(lock.isHeld()).toBe(true)
  })

  test('a small drift of the wall clock does not make `isHeld` false', async () => {
    const world = new World()
    const a = world.process({ spansMachines: true })
    const lock = await a.locks.acquire('k')
    world.stepWall(duration * 0.05)
    expect(lock.isHeld()).toBe(true)
    world.stepWall(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('between a look and the next grant makes `isHeld` false where the store spans machines', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ spansMachines: true })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    b.wall = lease
    b.link.break('stall', 'renew')
    await lock.release()
    const got = await wait
    expect(got.isHeld()).toBe(false)
    await world.pass(0)
    b.link.mend()
    await b.link.deliver()
    expect(got.isHeld()).toBe(true)
  })

  test('of a holder that renews by hand makes `isHeld` false until it renews', async () => {
    const world = new World()
    const a = world.process({ spansMachines: true })
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    world.stepWall(lease)
    expect(lock.isHeld()).toBe(false)
    await lock.renew()
    expect(lock.isHeld()).toBe(true)
  })

  test('a lock in doubt that was lost meanwhile stays lost', async () => {
    const world = new World()
    const a = world.process({ spansMachines: true, channel: false })
    const lock = await a.locks.acquire('k')
    world.stepWall(lease)
    await world.store.apply([{ type: 'revoke', key: 'k' }])
    await world.pass(beat)
    expect(lock.isHeld()).toBe(false)
    expect(await errorOf(lock.renew())).toMatchObject({ code: 'lost' })
  })
})
