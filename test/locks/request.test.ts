import { describe, expect, test } from 'vitest'
import type { HeldLock } from '../../src/locks/types.ts'
import { beat, duration, errorOf, lease, settle, stateOf, World } from './world.ts'

/** A callback that waits until a test lets it go on. */
function callback<T = void>(): {
  body: (lock: HeldLock | null) => Promise<T>
  lock: () => HeldLock
  done: (value: T) => void
  fail: (error: unknown) => void
} {
  let lock: HeldLock | null = null
  let done = (_: T): void => {}
  let fail = (_: unknown): void => {}
  const result = new Promise<T>((resolve, reject) => {
    done = resolve
    fail = reject
  })
  result.catch(() => {})
  const body = (given: HeldLock | null): Promise<T> => {
    lock = given
    return result
  }
  return { body, lock: () => lock as unknown as HeldLock, done: (value) => done(value), fail: (error) => fail(error) }
}

describe('request', () => {
  test('holds the lock while the callback runs', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const { body, lock, done } = callback()
    const call = a.locks.request('k', body)
    await settle()
    expect([lock().isHeld(), lock().name, lock().mode, await world.holders()]).toEqual([true, 'k', 'exclusive', ['a']])
    done()
    await call
    expect([lock().isHeld(), await world.holders()]).toEqual([false, []])
  })

  test("resolves with the callback's result", async () => {
    const { locks } = new World().process()
    expect(await locks.request('k', () => 7)).toBe(7)
    expect(await locks.request('k', async () => 'seven')).toBe('seven')
    expect(await locks.request('k', {}, () => undefined)).toBeUndefined()
  })

  test("rejects with the callback's error, and releases", async () => {
    const world = new World()
    const { locks } = world.process()
    const error = new RangeError('mine')
    const fail = (): never => {
      throw error
    }
    expect(await errorOf(locks.request('k', fail))).toBe(error)
    expect(await errorOf(locks.request('k', () => Promise.reject(error)))).toBe(error)
    expect(await world.holders()).toEqual([])
  })

  test('can share the lock', async () => {
    const world = new World()
    const [one, other] = [callback(), callback()]
    const calls = [
      world.process().locks.request('k', { mode: 'shared' }, one.body),
      world.process().locks.request('k', { mode: 'shared' }, other.body),
    ]
    await settle()
    expect([one.lock().mode, other.lock().isHeld()]).toEqual(['shared', true])
    one.done()
    other.done()
    await Promise.all(calls)
  })

  test('never runs two callbacks at the same time, over many processes', async () => {
    const world = new World()
    const processes = Array.from({ length: 5 }, () => world.process())
    let [inside, most, count] = [0, 0, 0]
    const calls = processes.flatMap(({ locks, clock }) =>
      Array.from({ length: 10 }, () =>
        locks.request('k', async () => {
          most = Math.max(most, ++inside)
          await new Promise<void>((resolve) => void clock.after(5, resolve))
          inside--
          count++
        }),
      ),
    )
    await world.pass(5_000)
    await Promise.all(calls)
    expect([most, count]).toEqual([1, 50])
  })

  test('can be nested with other names', async () => {
    const { locks } = new World().process()
    expect(await locks.request('k', () => locks.request('l', () => locks.request('m', () => 1)))).toBe(1)
  })

  test('M4: rejects with timeout when the wait is over', async () => {
    const world = new World()
    await world.process().locks.acquire('k')
    const call = errorOf(world.process().locks.request('k', { timeout: 100 }, () => 1))
    await world.pass(100)
    expect(await call).toMatchObject({ code: 'timeout' })
  })

  test('the error of a failed release does not hide the result', async () => {
    const world = new World()
    const a = world.process()
    const { body, done } = callback<number>()
    const call = a.locks.request('k', body)
    await settle()
    a.link.break('fail')
    done(7)
    await world.pass(beat / 2)
    a.link.mend()
    await world.pass(beat)
    expect(await call).toBe(7)
    expect(await world.holders()).toEqual([])
  })
})

describe('ifAvailable', () => {
  test('runs the callback with the lock if it is free', async () => {
    const { locks } = new World().process()
    expect(await locks.request('k', { ifAvailable: true }, (lock) => lock?.name)).toBe('k')
  })

  test('runs the callback with null if the lock is held, and does not queue', async () => {
    const world = new World()
    await world.process().locks.acquire('k')
    const b = world.process()
    expect(await b.locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
    expect(await world.queue()).toEqual([])
  })

  test("passes on the callback's error also in that case", async () => {
    const world = new World()
    await world.process().locks.acquire('k')
    const fail = (): never => {
      throw new RangeError()
    }
    expect(await errorOf(world.process().locks.request('k', { ifAvailable: true }, fail))).toBeInstanceOf(RangeError)
  })
})

describe('a holder that is proved dead', () => {
  test('does not block a request that does not wait', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.crash()
    expect(await b.locks.request('k', { ifAvailable: true }, (lock) => lock?.isHeld())).toBe(true)
  })

  test('is not shown by a query, nor is a waiter', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process(), world.process()]
    await a.locks.acquire('k', { mode: 'shared' })
    await c.locks.acquire('k', { mode: 'shared' })
    b.locks.acquire('k').catch(() => {})
    await settle()
    a.crash()
    b.crash()
    const { held, pending } = await c.locks.query()
    expect([held.map(({ session }) => session), pending]).toEqual([[c.locks.session], []])
  })

  test('keeps the lock if locks do not expire by themselves', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ expiry: 'manual' })]
    await a.locks.acquire('k')
    a.crash()
    expect(await b.locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
  })

  test('keeps the lock while it is pinned', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    await b.locks.pin('k', 'upgrade')
    a.crash()
    expect(await b.locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
  })
})

describe('signal', () => {
  test("rejects with the signal's reason while it waits", async () => {
    const world = new World()
    await world.process().locks.acquire('k')
    const stop = new AbortController()
    const call = errorOf(world.process().locks.request('k', { signal: stop.signal }, () => 1))
    await settle()
    stop.abort()
    expect(await call).toMatchObject({ name: 'AbortError' })
    await settle()
    expect(await world.queue()).toEqual([])
  })

  test('that was aborted before the call rejects with its reason, and the callback does not run', async () => {
    const world = new World()
    const a = world.process()
    const run: unknown[] = []
    expect(await errorOf(a.locks.request('k', { signal: AbortSignal.abort('no') }, () => run.push(1)))).toBe('no')
    expect([run, a.link.sent]).toEqual([[], []])
  })

  test('changes nothing once the callback runs', async () => {
    const world = new World()
    const stop = new AbortController()
    const { body, lock, done } = callback<number>()
    const call = world.process().locks.request('k', { signal: stop.signal }, body)
    await settle()
    stop.abort()
    expect(lock().isHeld()).toBe(true)
    done(1)
    expect(await call).toBe(1)
  })
})

describe('steal', () => {
  test('takes the lock at once, ahead of the queue', async () => {
    const world = new World()
    const [a, b, c] = [world.process({ label: 'a' }), world.process({ label: 'b' }), world.process({ label: 'c' })]
    const held = callback()
    const robbed = errorOf(a.locks.request('k', held.body))
    await settle()
    b.locks.acquire('k').catch(() => {})
    await settle()
    const thief = callback<string>()
    const call = c.locks.request('k', { steal: true }, thief.body)
    await settle()
    expect([await world.holders(), await world.queue()]).toEqual([['c'], ['b×1']])
    thief.done('mine')
    expect(await call).toBe('mine')
    expect(await robbed).toMatchObject({ name: 'AbortError' })
  })

  test('rejects the victim’s request with AbortError at once, while the victim’s callback runs on', async () => {
    const world = new World()
    const held = callback()
    const robbed = errorOf(world.process().locks.request('k', held.body))
    await settle()
    await world.process().locks.request('k', { steal: true }, () => {})
    const error = await robbed
    expect(error).toBeInstanceOf(DOMException)
    expect(error.name).toBe('AbortError')
    expect([held.lock().isHeld(), held.lock().signal.reason.code]).toEqual([false, 'lost'])
    held.done()
  })

  test('ignores a later error of the victim’s callback', async () => {
    const world = new World()
    const held = callback()
    const robbed = errorOf(world.process().locks.request('k', held.body))
    await settle()
    await world.process().locks.request('k', { steal: true }, () => {})
    await robbed
    held.fail(new Error('too late'))
    await settle()
  })

  test('is noticed at the next beat without a channel', async () => {
    const world = new World()
    const held = callback()
    const robbed = errorOf(world.process({ channel: false }).locks.request('k', held.body))
    await settle()
    await world.process().locks.request('k', { steal: true }, () => {})
    expect(await stateOf(robbed)).toBe('pending')
    await world.pass(beat)
    expect(await robbed).toMatchObject({ name: 'AbortError' })
    held.done()
  })

  test('takes the lock also from the same session', async () => {
    const world = new World()
    const a = world.process({ label: 'a', channel: false })
    const held = callback()
    const robbed = errorOf(a.locks.request('k', held.body))
    await settle()
    const lock = await a.locks.acquire('k', { steal: true })
    expect(await robbed).toMatchObject({ name: 'AbortError' })
    await world.pass(lease)
    expect([lock.isHeld(), await world.holders()]).toEqual([true, ['a']])
    held.done()
  })

  test('takes the lock also if the holder has not heard of its grant yet', async () => {
    const { locks } = new World().process()
    const held = callback()
    const robbed = errorOf(locks.request('k', held.body))
    await locks.request('k', { steal: true }, () => {})
    expect(await robbed).toMatchObject({ name: 'AbortError' })
    held.done()
  })

  test('takes the lock from all shared holders', async () => {
    const world = new World()
    const shared = [callback(), callback()]
    const robbed = shared.map(({ body }) => errorOf(world.process().locks.request('k', { mode: 'shared' }, body)))
    await settle()
    await world.process().locks.request('k', { steal: true }, () => {})
    for (const error of await Promise.all(robbed)) expect(error).toMatchObject({ name: 'AbortError' })
  })

  test('takes a free lock like any request', async () => {
    const world = new World()
    expect(await world.process().locks.request('k', { steal: true }, (lock) => lock?.isHeld())).toBe(true)
  })
})

describe('a lock that is lost while the callback runs', () => {
  test('rejects with lost once the callback has settled', async () => {
    const world = new World()
    const a = world.process()
    const held = callback<number>()
    const call = a.locks.request('k', held.body)
    call.catch(() => {})
    await settle()
    a.link.break('fail')
    await world.pass(duration)
    expect(held.lock().signal.aborted).toBe(true)
    expect(await stateOf(call)).toBe('pending')
    held.done(7)
    expect(await errorOf(call)).toMatchObject({ code: 'lost' })
  })

  test('rejects with lost even if no timer has run yet', async () => {
    const world = new World()
    const a = world.process()
    const held = callback<number>()
    const call = errorOf(a.locks.request('k', held.body))
    await settle()
    a.stop()
    await world.pass(duration)
    held.done(7)
    expect(await call).toMatchObject({ code: 'lost' })
  })

  test('rejects with AbortError if an operator revoked it', async () => {
    const world = new World()
    const a = world.process()
    const held = callback()
    const call = errorOf(a.locks.request('k', held.body))
    await settle()
    await world.process().locks.revoke('k')
    expect(await call).toMatchObject({ name: 'AbortError' })
    held.done()
  })
})

describe('requests that the specification refuses', () => {
  const refused: [string, object][] = [
    ['steal with ifAvailable', { steal: true, ifAvailable: true }],
    ['steal with shared mode', { steal: true, mode: 'shared' }],
    ['signal with steal', { signal: new AbortController().signal, steal: true }],
    ['signal with ifAvailable', { signal: new AbortController().signal, ifAvailable: true }],
  ]

  test.each(refused)('%s rejects with NotSupportedError', async (_, options) => {
    const a = new World().process()
    const error = await errorOf(a.locks.request('k', options, () => {}))
    expect(error).toBeInstanceOf(DOMException)
    expect(error.name).toBe('NotSupportedError')
    expect(a.link.sent).toEqual([])
  })

  test.each(['-', '-k', '-\0'])('the name %j rejects with NotSupportedError', async (name) => {
    const error = await errorOf(new World().process().locks.request(name, () => {}))
    expect(error).toBeInstanceOf(DOMException)
    expect(error.name).toBe('NotSupportedError')
  })

  test.each([undefined, null, 7, {}, 'callback'])('the callback %j rejects with TypeError', async (wrong) => {
    const { locks } = new World().process()
    expect(await errorOf(locks.request('k', wrong as never))).toBeInstanceOf(TypeError)
    expect(await errorOf(locks.request('k', {}, wrong as never))).toBeInstanceOf(TypeError)
  })

  test('an unknown mode or an invalid signal rejects with TypeError', async () => {
    const { locks } = new World().process()
    expect(await errorOf(locks.request('k', { mode: 'readonly' as never }, () => {}))).toBeInstanceOf(TypeError)
    expect(await errorOf(locks.request('k', { signal: {} as never }, () => {}))).toBeInstanceOf(TypeError)
  })

  test('an invalid timeout rejects with RangeError', async () => {
    const { locks } = new World().process()
    for (const timeout of [Number.NaN, -1, 2 ** 53]) expect(await errorOf(locks.request('k', { timeout }, () => {}))).toBeInstanceOf(RangeError)
  })
})

describe('names', () => {
  const strange = ['', '\0', 'a\0b', '\ud800', 'x\udc00y', '@', '@/', '%', '%0000', '@ns/x', 'ü/é', '🔒', 'x'.repeat(5_000), ' ', '/module/a']

  test.each(strange.map((name) => [name.length > 20 ? 'a very long one' : JSON.stringify(name), name]))('may be any string: %s', async (_, name) => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const held = callback()
    const call = a.locks.request(name, held.body)
    await settle()
    expect(held.lock().name).toBe(name)
    expect(await b.locks.request(name, { ifAvailable: true }, (lock) => lock)).toBeNull()
    expect((await b.locks.query()).held.map((each) => each.name)).toEqual([name])
    expect((await b.locks.query(name)).held).toHaveLength(1)
    held.done()
    await call
  })

  test('that are strange never collide', async () => {
    const world = new World()
    const { locks } = world.process()
    const waits = strange.map((name) => locks.request(name, { ifAvailable: true }, (lock) => (lock ? new Promise(() => {}) : name)))
    await settle()
    expect(await Promise.all(waits.map(stateOf))).toEqual(strange.map(() => 'pending'))
  })

  test('that are not strings become strings', async () => {
    const { locks } = new World().process()
    expect(await locks.request(7 as never, (lock) => lock.name)).toBe('7')
    expect(await locks.request(null as never, (lock) => lock.name)).toBe('null')
  })

  test('mean the same lock in both shapes', async () => {
    const { locks } = new World().process()
    await locks.acquire('k')
    expect(await locks.request('k', { ifAvailable: true }, (lock) => lock)).toBeNull()
  })
})

describe('query', () => {
  test('shows holders and waiters, in order, as Web Locks do', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k', { mode: 'shared' })
    await b.locks.acquire('k', { mode: 'shared' })
    b.locks.acquire('k').catch(() => {})
    await settle()
    a.locks.acquire('k', { mode: 'shared' }).catch(() => {})
    await settle()
    const { held, pending } = await a.locks.query()
    expect(held).toMatchObject([
      { name: 'k', mode: 'shared' },
      { name: 'k', mode: 'shared' },
    ])
    expect(pending).toMatchObject([
      { name: 'k', mode: 'exclusive' },
      { name: 'k', mode: 'shared' },
    ])
    expect(held.map(({ clientId }) => clientId)).toEqual([...pending].reverse().map(({ clientId }) => clientId))
  })

  test('J7: shows session, label, metadata, token and expiry', async () => {
    const world = new World()
    const a = world.process({ label: 'a' })
    const lock = await a.locks.acquire('k', { metadata: { n: 1 } })
    const { held } = await world.process().locks.query('k')
    const expiresAt = world.base.now() + lease
    expect(held).toMatchObject([{ session: lock.session, label: 'a', metadata: { n: 1 }, token: lock.token, expiresAt }])
  })

  test('J7: shows the leases of all names', async () => {
    const world = new World()
    const a = world.process()
    for (const name of ['b', 'a', 'c']) await a.locks.acquire(name)
    expect((await a.locks.query()).held.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  test('shows requests made before it, even if the session was not open yet', async () => {
    const { locks } = new World().process()
    const lock = locks.acquire('k')
    locks.acquire('k').catch(() => {})
    const { held, pending } = await locks.query()
    expect([held.length, pending.length]).toEqual([1, 1])
    await lock
  })

  test('shows the same client for all sessions of a context', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    const [before] = (await a.locks.query()).held
    a.link.loseBeacon()
    await settle()
    await a.locks.acquire('k')
    const [after] = (await a.locks.query()).held
    expect(after?.clientId).toBe(before?.clientId)
    expect(after?.session).not.toBe(before?.session)
  })

  test('of a name that was never used is empty', async () => {
    expect(await new World().process().locks.query('k')).toEqual({ held: [], pending: [] })
  })
})
