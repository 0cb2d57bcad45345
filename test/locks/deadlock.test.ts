import { describe, expect, test } from 'vitest'
import { Page } from '../worker/page.ts'
import { duration, errorOf, lease, type ProcessOptions, settle, stateOf, World } from './world.ts'

/** A process that requests a lock inside the callback of a request for the same lock. */
async function nested(options: ProcessOptions = {}, inner: object = {}) {
  const world = new World()
  const { locks, warnings } = world.process(options)
  const outer = errorOf(locks.request('k', () => locks.request('k', inner, () => {})))
  return { world, locks, warnings, outer }
}

describe('a request within its own callback', () => {
  test('is rejected with `deadlock` after a duration, if the option says so', async () => {
    const { world, locks, outer } = await nested({ deadlock: 'reject' })
    await world.pass(duration - 10)
    expect(await stateOf(outer)).toBe('pending')
    await world.pass(200)
    expect(await outer).toMatchObject({ name: 'LockError', code: 'deadlock', heldBy: 'session', holders: [{}] })
    expect((await outer).message).toContain('"k" → "k": locks.reentrant()')
    expect(await locks.query()).toEqual({ held: [], pending: [] })
  })

  test('by default warns once and keeps waiting', async () => {
    const { world, warnings, outer, locks } = await nested()
    await world.pass(10 * lease)
    expect(warnings).toMatchObject([{ type: 'deadlock', names: ['k'], error: { code: 'deadlock' } }])
    expect(warnings[0]?.error.message).toContain('"k" → "k": locks.reentrant()')
    expect(await stateOf(outer)).toBe('pending')
    await locks.close()
    await outer
  })

  test('with a timeout fails with an error which says that the caller itself holds the lock', async () => {
    const { world, outer } = await nested({}, { timeout: 500 })
    await world.pass(501)
    expect(await outer).toMatchObject({ code: 'timeout', heldBy: 'session', message: expect.stringContaining('you hold it yourself') })
  })
})

describe('a nested request of one name', () => {
  test('is rejected with a message that names the cycle, also without a callback', async () => {
    const world = new World()
    const { locks } = world.process({ deadlock: 'reject' })
    const outer = await locks.acquire('k')
    const inner = errorOf(locks.acquire('k'))
    await world.pass(duration + 200)
    expect(await inner).toMatchObject({ code: 'deadlock', message: expect.stringContaining('"k" → "k"') })
    expect(outer.isHeld()).toBe(true)
  })

  test('is rejected while a guard of the re-entrant lock is held', async () => {
    const world = new World()
    const { locks } = world.process({ deadlock: 'reject' })
    const guard = await locks.reentrant('k').acquire()
    const inner = errorOf(locks.request('k', () => {}))
    await world.pass(duration + 200)
    expect(await inner).toMatchObject({ code: 'deadlock' })
    expect(guard.isHeld()).toBe(true)
  })

  test('is rejected with a warning in a page whose locks a worker keeps', async () => {
    const world = new World()
    const page = new Page(world, world.process({ deadlock: 'reject', maxBackoff: 50 }), { label: 'page' })
    const outer = errorOf(page.locks.request('k', () => page.locks.request('k', () => {})))
    await world.pass(duration + 200)
    expect(await outer).toMatchObject({ name: 'LockError', code: 'deadlock', message: expect.stringContaining('"k" → "k"') })
    expect(page.warnings).toMatchObject([{ type: 'deadlock', names: ['k'] }])
  })
})

describe('a session that waits for its own locks', () => {
  test('in a cycle of two locks gets an error that names both, and only one of the two requests is rejected', async () => {
    const world = new World()
    const { locks, warnings } = world.process({ deadlock: 'reject' })
    const take = (first: string, second: string): Promise<string> =>
      locks.request(first, async () => {
        await settle()
        return await locks.request(second, () => `${first} and ${second}`)
      })
    const both = Promise.allSettled([take('x', 'y'), take('y', 'x')])
    await world.pass(duration + 300)
    const [one, other] = await both
    const [failed, served] = one?.status === 'rejected' ? [one, other] : [other, one]
    expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'deadlock' } })
    expect((failed as PromiseRejectedResult).reason.message).toMatch(/"x" → "y" → "x"|"y" → "x" → "y"/)
    expect(served?.status).toBe('fulfilled')
    expect(warnings.map(({ type, names }) => [type, [...names].sort()])).toContainEqual(['deadlock', ['x', 'y']])
  })

  test('for less than a duration, like two callers of one tab that take turns, is left alone', async () => {
    const world = new World()
    const { locks, warnings } = world.process({ deadlock: 'reject' })
    for (let turn = 0; turn < 5; turn++) {
      const first = await locks.acquire('k')
      const second = locks.acquire('k')
      await world.pass(duration / 2)
      await first.release()
      await world.pass(duration / 2)
      await (await second).release()
    }
    expect(warnings).toEqual([])
  })

  test('is found even if another session waits in between, as with shared locks', async () => {
    const world = new World()
    const [a, b] = [world.process({ deadlock: 'reject' }), world.process()]
    await a.locks.acquire('k', { mode: 'shared' })
    const writer = b.locks.acquire('k')
    await world.pass(50)
    const again = errorOf(a.locks.acquire('k', { mode: 'shared' }))
    await world.pass(duration + 300)
    expect(await again).toMatchObject({ code: 'deadlock' })
    await a.locks.close()
    await writer
  })

  test('is not confused with one that waits for another session', async () => {
    const world = new World()
    const [a, b] = [world.process({ deadlock: 'reject' }), world.process()]
    const lock = await b.locks.acquire('k')
    const next = a.locks.acquire('k')
    await world.pass(20 * duration)
    expect(await stateOf(next)).toBe('pending')
    await lock.release()
    await next
    expect(a.warnings).toEqual([])
  })
})

test('the option `deadlock` must be warn or reject', () => {
  expect(() => new World().process({ deadlock: 'off' as 'warn' })).toThrow("deadlock is 'warn' or 'reject', not off")
})
