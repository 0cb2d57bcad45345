import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import { noopLocks } from '../../src/locks/noop.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { manualClock } from '../../src/testing/clock.ts'
import { errorOf, settle, World } from './world.ts'

describe('M7: locks for a single process', () => {
  test('M7: have the same API as any locks', () => {
    const locks = createLocks({ store: memoryStore() })
    expect(Object.keys(noopLocks()).sort()).toEqual(Object.keys(locks).sort())
  })

  test('M7: grant every request at once, and exclude no other', async () => {
    const locks = noopLocks()
    const all = [await locks.acquire('k'), await locks.acquire('k'), await locks.tryAcquire('k')]
    expect(all.map((lock) => lock?.isHeld())).toEqual([true, true, true])
    expect(await locks.request('k', (lock) => lock.isHeld())).toBe(true)
    expect(await locks.request('k', { ifAvailable: true }, (lock) => lock?.isHeld())).toBe(true)
    await locks.whenFree('k')
  })

  test('M7: a lock is held until it is released', async () => {
    const locks = noopLocks()
    const lock = await locks.acquire('k')
    const { signal } = lock
    await lock.renew()
    await lock.release()
    await lock.release()
    expect([lock.isHeld(), signal.aborted, signal.reason.code]).toEqual([false, true, 'not-held'])
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'not-held' }))
    expect(await errorOf(lock.renew())).toMatchObject({ code: 'not-held' })
  })

  test('M7: tokens rise', async () => {
    const locks = noopLocks()
    const tokens = [(await locks.acquire('k')).token, (await locks.acquire('l')).token, (await locks.acquire('k')).token]
    expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => x - y))
  })

  test("M7: request returns the callback's result or error, and releases", async () => {
    const locks = noopLocks()
    const error = new RangeError()
    expect(await locks.request('k', async () => 7)).toBe(7)
    expect(await errorOf(locks.request('k', {}, () => Promise.reject(error)))).toBe(error)
    expect(await locks.query()).toEqual({ held: [], pending: [] })
  })

  test('M7: await using releases', async () => {
    const locks = noopLocks()
    {
      await using lock = await locks.acquire('k')
      expect((await locks.query('k')).held).toMatchObject([{ name: 'k', mode: 'exclusive', token: lock.token }])
    }
    expect((await locks.query('k')).held).toEqual([])
  })

  test('M1, M7: a re-entrant lock is held while a guard or a clone of it lives', async () => {
    const crypto = noopLocks().reentrant('k')
    const guard = await crypto.acquire()
    const clone = guard.clone()
    await guard.release()
    expect([crypto.isHeld(), guard.isHeld(), clone.isHeld()]).toEqual([true, false, true])
    await clone.release()
    expect(crypto.isHeld()).toBe(false)
    expect(() => clone.clone()).toThrow(expect.objectContaining({ code: 'not-held' }))
  })

  test('M6, M7: is never dirty', async () => {
    const locks = noopLocks()
    const crypto = locks.reentrant('k')
    await crypto.acquire()
    expect([crypto.dirty, (await locks.acquire('k')).dirty]).toEqual([false, false])
    crypto.clearDirty()
  })

  test('M7: an aborted signal rejects a call', async () => {
    const locks = noopLocks()
    const signal = AbortSignal.abort('no')
    expect(await errorOf(locks.acquire('k', { signal }))).toBe('no')
    expect(await errorOf(locks.request('k', { signal }, () => {}))).toBe('no')
    expect(await errorOf(locks.reentrant('k').acquire({ signal }))).toBe('no')
  })

  test('M7: close releases everything, and later calls reject with closed', async () => {
    const locks = noopLocks()
    const lock = await locks.acquire('k')
    const guard = await locks.reentrant('k').acquire()
    await locks.close()
    expect([lock.isHeld(), guard.isHeld()]).toEqual([false, false])
    expect(await errorOf(locks.acquire('k'))).toMatchObject({ code: 'closed' })
    expect(await errorOf(locks.request('k', () => {}))).toMatchObject({ code: 'closed' })
    expect(await errorOf(locks.reentrant('k').acquire())).toMatchObject({ code: 'closed' })
    await locks.close()
  })

  test('M7: a callback that is not a function is refused', async () => {
    expect(await errorOf(noopLocks().request('k', {} as never))).toBeInstanceOf(TypeError)
  })
})

describe('F6: fakes', () => {
  test('F6: a clock that tests move and a memory store need no real time', async () => {
    const clock = manualClock()
    const locks = createLocks({ store: memoryStore({ now: clock.now }), clock, duration: 86_400_000 })
    const lock = await locks.acquire('k', { renew: 'manual' })
    await clock.advance(86_399_999)
    expect(lock.isHeld()).toBe(true)
    await clock.advance(1)
    expect([lock.isHeld(), lock.signal.reason.code]).toEqual([false, 'lost'])
    await locks.close()
  })

  test('F6: the memory store works without a fake clock', async () => {
    const store = memoryStore()
    const [a, b] = [createLocks({ store, duration: 100 }), createLocks({ store, duration: 100 })]
    const lock = await a.acquire('k')
    const wait = b.acquire('k')
    await settle()
    await lock.release()
    expect((await wait).token).toBeGreaterThan(lock.token)
    await Promise.all([a.close(), b.close()])
  })

  test('F6: the wall clock of a manual clock steps apart from its timers', async () => {
    const clock = manualClock()
    const locks = createLocks({ store: memoryStore({ now: clock.now }), clock, duration: 1_000 })
    const lock = await locks.acquire('k')
    clock.step(1_000_000)
    expect(lock.isHeld()).toBe(true)
    await clock.advance(10_000)
    expect(lock.isHeld()).toBe(true)
    await locks.close()
  })

  test('F6: two memory stores share nothing', async () => {
    const [one, other] = [createLocks({ store: memoryStore() }), createLocks({ store: memoryStore() })]
    const locks = await Promise.all([one.acquire('k'), other.acquire('k')])
    expect(locks.map((lock) => lock.isHeld())).toEqual([true, true])
    await Promise.all([one.close(), other.close()])
  })

  test('F6: a test cannot change a store’s contents from outside', async () => {
    const world = new World()
    const metadata = { n: 1 }
    const { locks } = world.process()
    await locks.acquire('k', { metadata })
    metadata.n = 2
    expect((await locks.query('k')).held[0]?.metadata).toEqual({ n: 1 })
  })
})
