import { describe, expect, test } from 'vitest'
import { LockError, noopLocks } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { expose, wrap } from '../../src/worker/index.ts'
import { Window } from '../locks/window.ts'
import { beat, duration, errorOf, lease, type ProcessOptions, settle, stateOf, World } from '../locks/world.ts'
import { Page, type PageOptions } from './page.ts'

/** Makes a worker with one page. */
const start = (options: PageOptions = {}, workerOptions: ProcessOptions = {}) => {
  const world = new World()
  const worker = world.process({ label: 'worker', maxBackoff: 50, ...workerOptions })
  return { world, worker, page: new Page(world, worker, { label: 'page', ...options }) }
}

describe('a page holds through its worker', () => {
  test('a lock with all its properties', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k', { metadata: { at: 1 } })
    const { name, key, mode, token, previous, dirty, session } = lock
    expect({ name, key, mode, previous, dirty }).toEqual({ name: 'k', key: 'k', mode: 'exclusive', previous: 0, dirty: false })
    expect(lock.isHeld()).toBe(true)
    expect((await page.locks.query('k')).held).toMatchObject([{ name: 'k', token, session, label: 'page', metadata: { at: 1 } }])
    expect(page.locks.session).toBe(session)
    await lock.release()
    expect(await world.holders()).toEqual([])
  })

  test('a lock under its own session', async () => {
    const { worker, page } = start()
    const lock = await page.locks.acquire('k')
    expect(lock.session).not.toBe(worker.locks.session)
    expect(await worker.locks.tryAcquire('k')).toBeNull()
  })

  test('a lock whose holder is proved dead, in the call that requests it', async () => {
    const { world, page } = start()
    const dead = world.process()
    await dead.locks.acquire('k')
    dead.crash()
    expect((await page.locks.tryAcquire('k', { timeout: 0 }))?.isHeld()).toBe(true)
  })

  test('a lock for longer than its lease, as long as page and worker run', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k')
    await world.pass(10 * duration)
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([true, false])
  })

  test('a lock that another page of the same worker has just released', async () => {
    const { world, worker, page } = start()
    const other = new Page(world, worker)
    const lock = await page.locks.acquire('k')
    const next = other.locks.acquire('k')
    await world.pass(beat)
    expect(await stateOf(next)).toBe('pending')
    await lock.release()
    expect((await next).token).toBeGreaterThan(lock.token)
  })

  test('a lock until the end of its `await using` block', async () => {
    const { world, page } = start()
    {
      await using lock = await page.locks.acquire('k')
      lock.assertHeld()
    }
    expect(await world.holders()).toEqual([])
  })
})

describe('callbacks, signals and errors', () => {
  test('a callback runs in the page, and its result is not copied', async () => {
    const { page } = start()
    const result = { itself: () => 7 }
    expect(await page.locks.request('k', () => result)).toBe(result)
  })

  test("a callback's error passes through unchanged, and the lock is released", async () => {
    const { world, page } = start()
    const error = Object.assign(new RangeError('mine'), { itself: () => 7 })
    expect(await errorOf(page.locks.request('k', () => Promise.reject(error)))).toBe(error)
    expect(await world.holders()).toEqual([])
  })

  test('ifAvailable calls back with null while another session has the lock', async () => {
    const { worker, page } = start()
    await worker.locks.acquire('k')
    expect(await page.locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
  })

  test('a lock that is stolen while the callback runs rejects at once with AbortError', async () => {
    const { worker, page } = start()
    const call = errorOf(page.locks.request('k', () => new Promise(() => {})))
    await settle()
    await worker.locks.acquire('k', { steal: true })
    const error = await call
    expect(error).toBeInstanceOf(DOMException)
    expect(error.name).toBe('AbortError')
  })

  test('options that contradict each other reject with NotSupportedError', async () => {
    const { page } = start()
    const error = await errorOf(page.locks.request('k', { steal: true, ifAvailable: true }, () => 1))
    expect([error instanceof DOMException, error.name]).toEqual([true, 'NotSupportedError'])
  })

  test('a cancelled wait rejects with the same reason object, and leaves nothing behind', async () => {
    const { world, worker, page } = start()
    await worker.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(page.locks.acquire('k', { signal: stop.signal }))
    await settle()
    const reason = { itself: () => 7 }
    stop.abort(reason)
    expect(await wait).toBe(reason)
    await settle()
    expect(await world.queue()).toEqual([])
  })

  test('a wait that is cancelled just as it is granted never gets the lock', async () => {
    const { world, worker, page } = start({ latency: () => 5 })
    await world.pass(beat)
    const held = await worker.locks.acquire('k')
    const stop = new AbortController()
    const wait = errorOf(page.locks.acquire('k', { signal: stop.signal }))
    await world.pass(20)
    await held.release()
    stop.abort('no more')
    expect(await wait).toBe('no more')
    await world.pass(20)
    expect(await world.holders()).toEqual([])
  })

  test('an already aborted signal is reported only if the call has no other error', async () => {
    const { page } = start()
    expect(await errorOf(page.locks.acquire('k', { signal: AbortSignal.abort('no more') }))).toBe('no more')
    expect(await errorOf(page.locks.acquire('k', { signal: AbortSignal.abort('no more'), timeout: -1 }))).toBeInstanceOf(RangeError)
  })

  test('a LockError has its code, its name and its holders', async () => {
    const { worker, page } = start()
    const { token } = await worker.locks.acquire('k')
    const error = await errorOf(page.locks.acquire('k', { timeout: 0 }))
    expect(error).toBeInstanceOf(LockError)
    expect(error).toMatchObject({ name: 'LockError', code: 'held', holders: [{ token }] })
  })

  test("a store's error has its cause", async () => {
    const { worker, page } = start()
    worker.link.error = Object.assign(new Error('the disk is full'), { code: 'SQLITE_FULL' })
    worker.link.break('fail')
    expect(await errorOf(page.locks.acquire('k'))).toMatchObject({ code: 'store', cause: { message: 'the disk is full', code: 'SQLITE_FULL' } })
  })

  test('options that are not data are refused with a TypeError', async () => {
    const { page } = start()
    expect(await errorOf(page.locks.acquire('k', { metadata: (() => 1) as never }))).toBeInstanceOf(TypeError)
  })

  test('a release request reaches the holder with the asking session and its payload', async () => {
    const { world, worker, page } = start()
    const asks: unknown[] = []
    const lock = await page.locks.acquire('k', { onReleaseRequested: (ask, { label }) => asks.push([ask, label]) && lock.release() })
    await worker.locks.acquire('k', { ask: 'please' })
    expect(asks).toEqual([['please', 'worker']])
    expect(await world.holders()).toEqual(['worker'])
  })

  test('warnings reach the page, with deadlines on the page’s clock', async () => {
    const { world, worker, page } = start({ ahead: 5_000 })
    await page.locks.acquire('k')
    worker.link.break('fail', 'beat')
    await world.pass(2 * beat)
    expect(page.warnings).toMatchObject([{ type: 'renewal', names: ['k'], error: { code: 'store' } }])
    expect(page.warnings[0]?.deadline).toBeLessThanOrEqual(page.clock.monotonic() + duration)
    expect(page.warnings[0]?.deadline).toBeGreaterThan(page.clock.monotonic())
  })

  test('a lock that the worker doubts after a sleep is not held before a renewal, whatever other messages the worker sends', async () => {
    const { world, worker, page } = start({}, { spansMachines: true })
    const lock = await page.locks.acquire('k')
    worker.link.break('stall', 'beat')
    world.stepWall(duration)
    page.wall += duration
    expect(lock.isHeld()).toBe(false)
    await (await page.locks.acquire('other')).release()
    await world.pass(beat)
    expect(lock.isHeld()).toBe(false)
    worker.link.mend()
    await worker.link.deliver()
    await world.pass(beat)
    expect(lock.isHeld()).toBe(true)
  })
})

describe('a re-entrant lock', () => {
  test('is shared by all users in a page, and released with the last one', async () => {
    const { world, page } = start()
    const lock = page.locks.reentrant('k')
    const one = await lock.acquire()
    const two = await lock.acquire()
    const three = one.clone()
    await one.release()
    await two.release()
    expect([lock.isHeld(), three.isHeld(), await world.holders()]).toEqual([true, true, ['page']])
    await three.release()
    expect([lock.isHeld(), await world.holders()]).toEqual([false, []])
  })

  test('is dirty after another session has had it, until `clearDirty`', async () => {
    const { worker, page } = start()
    const lock = page.locks.reentrant('k')
    await (await lock.acquire()).release()
    expect(lock.dirty).toBe(false)
    await (await worker.locks.acquire('k')).release()
    const guard = await lock.acquire()
    expect(lock.dirty).toBe(true)
    lock.clearDirty()
    await lock.acquire()
    expect(lock.dirty).toBe(false)
    await guard.release()
  })
})

describe('close', () => {
  test("ends only the page's session", async () => {
    const { world, worker, page } = start()
    await worker.locks.acquire('mine')
    const lock = await page.locks.acquire('k')
    await Promise.all([page.locks.close(), world.pass(0)])
    expect(await errorOf(page.locks.acquire('k'))).toMatchObject({ code: 'closed' })
    expect([lock.isHeld(), lock.signal.reason.code, await world.holders(), await world.holders('mine')]).toEqual([false, 'not-held', [], ['worker']])
  })

  test('called again waits for the first', async () => {
    const { world, page } = start()
    await page.locks.acquire('k')
    const ended: string[] = []
    const first = page.locks.close().then(() => ended.push('first'))
    const second = page.locks.close().then(() => ended.push('second'))
    await Promise.all([first, second, world.pass(0)])
    expect(ended).toEqual(['first', 'second'])
  })

  test('leaves `dirty` of a re-entrant lock readable', async () => {
    const { world, worker, page } = start()
    const lock = page.locks.reentrant('k')
    await (await worker.locks.acquire('k')).release()
    await (await lock.acquire()).release()
    await Promise.all([page.locks.close(), world.pass(0)])
    expect([lock.dirty, lock.isHeld()]).toEqual([true, false])
    lock.clearDirty()
    expect(lock.dirty).toBe(false)
  })

  test.each([
    ['a page', true],
    ['a page that has no answer yet', false],
  ])('of %s leaves no listener at the worker’s store', async (_, isConnected) => {
    const world = new World()
    const listeners = new Set<unknown>()
    const onDegraded: Store['onDegraded'] = (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
    const worker = world.process()
    Object.assign(worker.link, { onDegraded })
    const page = new Page(world, worker)
    if (isConnected) await page.locks.acquire('k')
    expect(listeners.size).toBe(isConnected ? 1 : 0)
    await Promise.all([page.locks.close(), world.pass(0)])
    await world.pass(0)
    expect(listeners.size).toBe(0)
  })

  test('of the worker’s end releases its pages’ locks', async () => {
    const { world, page } = start()
    const lock = await page.locks.acquire('k')
    await page.stop?.()
    expect([lock.isHeld(), await world.holders()]).toEqual([false, []])
  })
})

describe('a worker that is missing', () => {
  test('fails all calls with an error that names `expose`, and the next call tries again', async () => {
    const { world, page } = start({ alone: true, maxSilence: 1_000 })
    for (let time = 1; time <= 2; time++) {
      const call = errorOf(page.locks.acquire('k'))
      await world.pass(1_000)
      expect(await call).toMatchObject({ code: 'store', message: expect.stringContaining('call expose(locks)') })
    }
  })

  test('or no longer answers fails the calls that wait for it', async () => {
    const { world, worker, page } = start({ maxSilence: 1_000 })
    await worker.locks.acquire('k')
    const wait = errorOf(page.locks.acquire('k'))
    await world.pass(5_000)
    expect(await stateOf(wait)).toBe('pending')
    page.cut = true
    await world.pass(1_500)
    expect(await wait).toMatchObject({ code: 'store' })
  })

  test('at first can serve waiting calls when it comes', async () => {
    const world = new World()
    const worker = world.process()
    const { port1, port2 } = new MessageChannel()
    const locks = wrap(port2)
    const wait = locks.acquire('k')
    await settle()
    const stop = expose(worker.locks, port1)
    expect((await wait).isHeld()).toBe(true)
    await Promise.all([locks.close(), new Promise<void>((done) => setTimeout(done)).then(() => world.pass(0))])
    await stop()
    port1.close()
  })
})

describe('expose refuses', () => {
  test('locks without a session', () => {
    expect(() => expose(noopLocks(), new MessageChannel().port1)).toThrow(TypeError)
  })

  test('an endpoint that is already in use', () => {
    const { locks } = new World().process()
    const { port1 } = new MessageChannel()
    const stop = expose(locks, port1)
    expect(() => expose(locks, port1)).toThrow(/already/)
    stop()
    port1.close()
  })

  test.each([0, -1, Number.NaN, '7'])('a maxSilence of %s', (maxSilence) => {
    const { locks } = new World().process()
    expect(() => expose(locks, new MessageChannel().port1, { maxSilence: maxSilence as number })).toThrow(RangeError)
  })

  test('to guess an endpoint outside a worker', () => {
    expect(() => expose(new World().process().locks)).toThrow(/needs an endpoint/)
  })
})

test('a prerendered page requests nothing until it is activated', async () => {
  const window = new Window()
  const scope = globalThis as { document?: unknown; addEventListener?: unknown }
  window.document.prerendering = true
  const world = new World()
  const worker = world.process({ label: 'worker', maxBackoff: 50 })
  scope.document = window.document
  scope.addEventListener = window.addEventListener.bind(window)
  const page = new Page(world, worker, { label: 'page' })
  delete scope.document
  delete scope.addEventListener
  const wait = page.locks.acquire('k')
  await world.pass(2 * lease)
  expect([await world.holders(), await stateOf(wait)]).toEqual([[], 'pending'])
  window.document.prerendering = false
  window.tell('prerenderingchange')
  await world.pass(10)
  expect([(await wait).isHeld(), await world.holders()]).toEqual([true, ['page']])
})

test('wrap refuses anything but an endpoint', () => {
  expect(() => wrap({} as never)).toThrow(TypeError)
  expect(() => wrap(new MessageChannel().port1, { maxSilence: 0 })).toThrow(RangeError)
})

describe('time', () => {
  test('a page notices by itself that its worker is gone, before another session gets the lock', async () => {
    const { world, worker, page } = start()
    const lock = await page.locks.acquire('k')
    await world.pass(duration)
    const other = world.process({ maxBackoff: 50 }).locks.acquire('k')
    page.cut = true
    worker.stop()
    await world.pass(duration)
    expect([lock.isHeld(), lock.signal.reason.code, await stateOf(other)]).toEqual([false, 'lost', 'pending'])
    await world.pass(lease)
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('a page that is blocked for longer than its lease keeps its lock, within maxSilence', async () => {
    const { world, page } = start({ workerPatience: 10 * duration })
    const lock = await page.locks.acquire('k')
    page.block()
    await world.pass(5 * duration)
    // Reads the lock as the first line that runs there would.
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([false, false])
    page.resume()
    await settle()
    expect(lock.isHeld()).toBe(true)
    await world.pass(duration)
    expect(lock.signal.aborted).toBe(false)
  })

  test('a callback that blocks its page for longer than the lease loses nothing, within maxSilence', async () => {
    const { world, page } = start({ workerPatience: 10 * duration })
    let resolve = (_: number): void => {}
    const promise = new Promise<number>((done) => {
      resolve = done
    })
    const call = page.locks.request('k', () => promise)
    await settle()
    page.block()
    await world.pass(5 * duration)
    resolve(7)
    await settle()
    page.resume()
    expect(await call).toBe(7)
  })

  test('a page that hangs for longer than maxSilence loses its lock, and the next waiter gets it within a lease', async () => {
    const { world, page } = start({ workerPatience: 2 * duration })
    const lock = await page.locks.acquire('k')
    const other = world.process({ maxBackoff: 50 }).locks.acquire('k')
    page.block()
    await world.pass(2 * duration)
    expect(await stateOf(other)).toBe('pending')
    await world.pass(lease + beat)
    expect((await other).isHeld()).toBe(true)
    expect(lock.isHeld()).toBe(false)
    page.resume()
    await world.pass(beat)
    expect([lock.isHeld(), lock.signal.reason.code, page.warnings[0]?.error.message]).toEqual([
      false,
      'lost',
      expect.stringContaining('the page has not answered'),
    ])
  })

  test('a page that hangs while it waits is skipped', async () => {
    const { world, worker, page } = start({ workerPatience: duration })
    const first = await worker.locks.acquire('k')
    page.locks.acquire('k').catch(() => {})
    await world.pass(beat)
    page.block()
    await world.pass(3 * duration)
    const other = world.process({ maxBackoff: 50 }).locks.acquire('k')
    await settle()
    await first.release()
    await world.pass(duration)
    expect(await stateOf(other)).toBe('fulfilled')
  })
})
