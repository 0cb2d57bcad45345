import { describe, expect, test } from 'vitest'
import { duration, errorOf, lease, type ProcessOptions, settle, stateOf, World } from './world.ts'

describe('whenFree', () => {
  test('J8: resolves at once if the lock is free', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.whenFree('k')
    await (await a.locks.acquire('k')).release()
    await a.locks.whenFree('k')
  })

  test('J8: resolves when the lock is released', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const free = b.locks.whenFree('k')
    await world.pass(5 * lease)
    expect(await stateOf(free)).toBe('pending')
    await lock.release()
    await world.pass(100)
    expect(await stateOf(free)).toBe('fulfilled')
  })

  describe('resolves as soon as the lock is free, without polling,', () => {
    /** The lock's holder, and a session that waits until the lock is free. */
    async function watched(holder: ProcessOptions = {}) {
      const world = new World()
      const [a, b] = [world.process(holder), world.process()]
      const lock = await a.locks.acquire('k')
      const free = b.locks.whenFree('k')
      // Long enough for the pauses between looks to become long.
      await world.pass(5 * lease)
      expect(await stateOf(free)).toBe('pending')
      return { world, a, b, lock, free }
    }

    test('when the holder releases', async () => {
      const { lock, free } = await watched()
      await lock.release()
      expect(await stateOf(free)).toBe('fulfilled')
    })

    test('only after the waiters before it have released, too', async () => {
      const { world, a, lock, free } = await watched()
      const c = world.process()
      const next = [c.locks.acquire('k')]
      await settle()
      next.push(a.locks.acquire('k'))
      await settle()
      await lock.release()
      for (const wait of next) {
        expect(await stateOf(free)).toBe('pending')
        await (await wait).release()
      }
      expect(await stateOf(free)).toBe('fulfilled')
    })

    test('when the last of several holders releases', async () => {
      const world = new World()
      const [a, b, c] = [world.process(), world.process(), world.process()]
      const first = await a.locks.acquire('k', { mode: 'shared' })
      const free = b.locks.whenFree('k')
      await settle()
      const second = await c.locks.acquire('k', { mode: 'shared' })
      await first.release()
      expect(await stateOf(free)).toBe('pending')
      await second.release()
      expect(await stateOf(free)).toBe('fulfilled')
    })

    test('when it lingers, also if it lingered before the wait', async () => {
      const { world, a, b, lock, free } = await watched({ linger: 60_000 })
      await lock.release()
      expect(await stateOf(free)).toBe('fulfilled')
      await (await a.locks.acquire('k')).release()
      expect(await world.holders()).toHaveLength(1)
      expect(await stateOf(b.locks.whenFree('k'))).toBe('fulfilled')
    })

    test('when it is revoked, or the holder closes its locks', async () => {
      const { b, free } = await watched()
      await b.locks.revoke('k')
      expect(await stateOf(free)).toBe('fulfilled')
      const { a, free: other } = await watched()
      await a.locks.close()
      expect(await stateOf(other)).toBe('fulfilled')
    })

    test('when its holder is proved dead, without a write', async () => {
      const { a, b, free } = await watched()
      a.crash()
      expect(await stateOf(free)).toBe('fulfilled')
      expect(b.link.sent).toEqual([])
    })

    test('when this session itself releases', async () => {
      const a = new World().process()
      const lock = await a.locks.acquire('k')
      const free = a.locks.whenFree('k')
      expect(await stateOf(free)).toBe('pending')
      await lock.release()
      expect(await stateOf(free)).toBe('fulfilled')
    })

    test('when the release was already under way as the wait began', async () => {
      const { a, b, lock, free } = await watched()
      a.link.break('mute', 'release')
      const released = lock.release()
      a.link.mend()
      const late = b.locks.whenFree('k')
      await a.link.deliver()
      await released
      expect([await stateOf(free), await stateOf(late)]).toEqual(['fulfilled', 'fulfilled'])
    })
  })

  test('J8: looks at a silent holder at most every 100 ms', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    b.locks.whenFree('k').catch(() => {})
    await settle()
    a.stop()
    const looks = b.link.reads.length
    await world.pass(1_000)
    expect(b.link.reads.length - looks).toBeLessThanOrEqual(11)
  })

  test('waits until the store has answered this session’s earlier commands', async () => {
    const world = new World()
    const a = world.process()
    a.link.latency = () => 5
    const lock = a.locks.acquire('k')
    const free = a.locks.whenFree('k')
    await world.pass(200)
    expect([await stateOf(lock), await stateOf(free)]).toEqual(['fulfilled', 'pending'])
  })

  test('J8: resolves when the lock expires', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    const free = b.locks.whenFree('k')
    await world.pass(10)
    a.crash()
    await world.pass(lease - 20)
    expect(await stateOf(free)).toBe('pending')
    await world.pass(lease / 4)
    expect(await stateOf(free)).toBe('fulfilled')
  })

  test('resolves at once when the holder is proved dead', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    a.crash()
    expect(await stateOf(b.locks.whenFree('k'))).toBe('fulfilled')
  })

  test('J8: is cancellable', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const stop = new AbortController()
    const free = errorOf(b.locks.whenFree('k', { signal: stop.signal }))
    await world.pass(10)
    stop.abort('no')
    expect(await free).toBe('no')
    expect(await errorOf(b.locks.whenFree('k', { signal: AbortSignal.abort('never') }))).toBe('never')
    await settle()
    const reads = b.link.reads.length
    await world.pass(lease)
    expect(b.link.reads.length).toBe(reads)
  })

  test('J8: reads the store, not a cache', async () => {
    const world = new World()
    const [a, b] = [world.process({ channel: false }), world.process({ channel: false })]
    const lock = await a.locks.acquire('k')
    expect(await b.locks.tryAcquire('k')).toBeNull()
    await lock.release()
    expect(await stateOf(b.locks.whenFree('k'))).toBe('fulfilled')
  })

  test('takes no place in the queue', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    b.locks.whenFree('k').catch(() => {})
    await world.pass(1_000)
    expect([await world.queue(), b.link.sent]).toEqual([[], []])
  })

  test.each([
    ['read', lease / 2],
    // The first eviction comes after a lease of silence.
    ['expire', 1.5 * lease],
  ] as const)('goes on waiting when the store fails every %s for a moment', async (call, ms) => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false, channel: false }), world.process({ beacon: false, channel: false })]
    const lock = await a.locks.acquire('k')
    const free = b.locks.whenFree('k')
    await world.pass(10)
    if (call === 'expire') a.crash()
    b.link.break('fail', call)
    await world.pass(ms)
    expect(await stateOf(free)).toBe('pending')
    expect(b.link.count('expire') > 0).toBe(call === 'expire')
    if (call === 'read') await lock.release()
    b.link.mend()
    await world.pass(lease / 4)
    expect(await stateOf(free)).toBe('fulfilled')
  })

  test('rejects with store when the store fails for a whole lease', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const free = errorOf(b.locks.whenFree('k'))
    await world.pass(10)
    b.link.break('fail')
    await world.pass(lease - 100)
    expect(await stateOf(free)).toBe('pending')
    await world.pass(300)
    expect(await free).toMatchObject({ code: 'store', cause: b.link.error })
  })

  test('rejects with store when the store fails at once', async () => {
    const a = new World().process()
    a.link.break('fail')
    expect(await errorOf(a.locks.whenFree('k'))).toMatchObject({ code: 'store', cause: a.link.error })
  })
})

describe('expire', () => {
  test('J5: of a free lock is refused', async () => {
    const { locks } = new World().process()
    expect(await errorOf(locks.expire('k'))).toMatchObject({ code: 'not-held' })
  })

  test('J5: of a live lock is refused, and shows the holder', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const expiry = errorOf(b.locks.expire('k'))
    await world.pass(lease)
    expect(await expiry).toMatchObject({ code: 'held', holders: [{ token: lock.token }] })
    expect(lock.isHeld()).toBe(true)
  })

  test('J5: succeeds only once the holder’s lease has passed', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process({ expiry: 'manual' })]
    await a.locks.acquire('k')
    a.crash()
    const expiry = b.locks.expire('k')
    await world.pass(lease - 1)
    expect(await stateOf(expiry)).toBe('pending')
    await world.pass(lease / 4)
    expect(await stateOf(expiry)).toBe('fulfilled')
    expect(await world.holders()).toEqual([])
  })

  test.each(['auto', 'manual'] as const)('frees the lock of a holder that is proved dead at once (%s)', async (expiry) => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ expiry })]
    await a.locks.acquire('k')
    a.crash()
    expect(await stateOf(b.locks.expire('k'))).toBe('fulfilled')
    expect((await b.locks.tryAcquire('k'))?.isHeld()).toBe(true)
  })

  test("J5: with expiry 'manual' grants the lock to a waiter", async () => {
    const world = new World()
    const [a, b, c] = [world.process({ beacon: false }), world.process({ expiry: 'manual' }), world.process({ expiry: 'manual' })]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    await world.pass(5 * lease)
    expect(await stateOf(wait)).toBe('pending')
    const expiry = c.locks.expire('k')
    await world.pass(2 * lease)
    await expiry
    expect((await wait).isHeld()).toBe(true)
  })

  test('J9: of a pinned lock is refused', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    a.crash()
    await b.locks.pin('k', 'upgrade')
    expect(await errorOf(b.locks.expire('k'))).toMatchObject({ code: 'held' })
  })
})

describe('revoke', () => {
  test('J10: takes the lock from its holder', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const { signal } = lock
    await b.locks.revoke('k', lock.session)
    await settle()
    expect(signal.reason).toMatchObject({ code: 'lost' })
    expect(await world.holders()).toEqual([])
  })

  test('J10: of a free lock is not an error', async () => {
    const { locks } = new World().process()
    await expect(locks.revoke('k')).resolves.toBeUndefined()
    await expect(locks.revoke('k', 'someone')).resolves.toBeUndefined()
  })

  test("J10: of another session's lock is refused, and shows the holder", async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const error = await errorOf(b.locks.revoke('k', b.locks.session))
    expect(error).toMatchObject({ code: 'not-owner', holders: [{ session: lock.session }] })
    expect(lock.isHeld()).toBe(true)
  })

  test('J10: takes the lock from all holders when no session is named', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const locks = [await a.locks.acquire('k', { mode: 'shared' }), await b.locks.acquire('k', { mode: 'shared' })]
    await world.process().locks.revoke('k')
    await settle()
    expect(locks.map((lock) => lock.isHeld())).toEqual([false, false])
  })

  test('J10: grants the lock to the next waiter', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    await world.process().locks.revoke('k')
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('J10: when it grants the lock to its own session, that grant is confirmed like any other', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    await a.locks.acquire('k')
    const wait = b.locks.acquire('k', { renew: 'manual' })
    await settle()
    await b.locks.revoke('k')
    const lock = await wait
    const other = world.process().locks.acquire('k')
    await world.pass(duration - 10)
    expect([lock.isHeld(), await world.holders(), await stateOf(other)]).toEqual([true, ['b'], 'pending'])
  })

  test('J10: takes no other lock from the same session', async () => {
    const world = new World()
    const a = world.process()
    const [k, l] = [await a.locks.acquire('k'), await a.locks.acquire('l')]
    await world.process().locks.revoke('k')
    await world.pass(lease)
    expect([k.isHeld(), l.isHeld()]).toEqual([false, true])
  })
})

describe('pins', () => {
  test('J9: a pinned lock does not expire', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a', beacon: false }), world.process()]
    await a.locks.acquire('k')
    await b.locks.pin('k', 'upgrade')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    await world.pass(10 * lease)
    expect([await world.holders(), await stateOf(wait)]).toEqual([['a'], 'pending'])
  })

  test('J9: a pinned lock does not expire by proof of death either', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    await b.locks.pin('k', 'upgrade')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    await world.pass(10 * lease)
    expect([(await world.record()).holders.length, await stateOf(wait)]).toEqual([1, 'pending'])
  })

  test('J9: a lock expires once the last entity has unpinned it', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    await b.locks.pin('k', 'one')
    await b.locks.pin('k', 'two')
    const wait = b.locks.acquire('k')
    await settle()
    a.crash()
    await world.pass(5 * lease)
    await b.locks.unpin('k', 'one')
    await world.pass(lease)
    expect(await stateOf(wait)).toBe('pending')
    await b.locks.unpin('k', 'two')
    await world.pass(2 * lease)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('J9: are idempotent', async () => {
    const world = new World()
    const { locks } = world.process()
    await locks.pin('k', 'one')
    await locks.pin('k', 'one')
    expect((await world.record()).pins).toEqual(['one'])
    await locks.unpin('k', 'one')
    expect((await world.record()).pins).toEqual([])
  })

  test('J9: may be set before there is a holder', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a', beacon: false }), world.process()]
    await b.locks.pin('k', 'upgrade')
    await a.locks.acquire('k')
    a.crash()
    const wait = b.locks.acquire('k')
    await world.pass(5 * lease)
    expect([await world.holders(), await stateOf(wait)]).toEqual([['a'], 'pending'])
  })

  test('J9: a pinned holder may release, and its lock may be stolen', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await b.locks.pin('k', 'upgrade')
    await (await a.locks.acquire('k')).release()
    expect((await b.locks.tryAcquire('k'))?.isHeld()).toBe(true)
    expect((await a.locks.acquire('k', { steal: true })).isHeld()).toBe(true)
  })

  test.each(['before', 'after'])('J9: keep a lock that is renewed by hand held, also for its holder, if they were set %s the grant', async (when) => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a', channel: false }), world.process({ label: 'b', channel: false })]
    if (when === 'before') await b.locks.pin('k', 'upgrade')
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    const wait = b.locks.acquire('k')
    await world.pass(duration / 2)
    if (when === 'after') await b.locks.pin('k', 'upgrade')
    await world.pass(10 * lease)
    expect([lock.isHeld(), await world.holders(), await stateOf(wait)]).toEqual([true, ['a'], 'pending'])
    // After the unpin, the lock is held for at most one more duration, then goes to the next waiter.
    await b.locks.unpin('k', 'upgrade')
    await world.pass(duration)
    expect([lock.isHeld(), lock.signal.reason?.code, await world.holders()]).toEqual([false, 'lost', ['b']])
    expect((await wait).isHeld()).toBe(true)
  })

  test('J9: a lock that is renewed by hand and not pinned ends after its duration, for its holder and in the record', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    const wait = b.locks.acquire('k')
    await world.pass(duration)
    expect([lock.isHeld(), await world.holders()]).toEqual([false, ['b']])
    expect((await wait).isHeld()).toBe(true)
  })

  test('J9: a pinned lock that is renewed by hand ends after its duration if its holder could not see the pin', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await b.locks.pin('k', 'upgrade')
    const wait = b.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration)
    expect([lock.isHeld(), await stateOf(wait)]).toEqual([false, 'pending'])
    a.link.mend()
    await world.pass(duration)
    expect([await world.holders(), await stateOf(wait)]).toEqual([['b'], 'fulfilled'])
  })

  test('J9: a pinned holder that could not renew notices that its lock is lost', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.pin('k', 'upgrade')
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration)
    expect(lock.isHeld()).toBe(false)
  })
})

describe('namespaces', () => {
  test('J1: are isolated from one another', async () => {
    const world = new World()
    const [a, b, c] = [world.process({ namespace: 'a' }), world.process({ namespace: 'b' }), world.process()]
    const locks = await Promise.all([a, b, c].map((each) => each.locks.acquire('k')))
    expect(locks.map((lock) => lock.isHeld())).toEqual([true, true, true])
    expect(locks.map(({ name }) => name)).toEqual(['k', 'k', 'k'])
    await a.locks.revoke('k')
    await settle()
    expect(locks.map((lock) => lock.isHeld())).toEqual([false, true, true])
  })

  test('J1: show only their own locks', async () => {
    const world = new World()
    const spaces = ['a', 'a/b', 'a@', ''].map((namespace) => world.process({ namespace }))
    for (const each of spaces) await each.locks.acquire(`k of ${spaces.indexOf(each)}`)
    const seen = await Promise.all(spaces.map(async ({ locks }) => (await locks.query()).held.map(({ name }) => name)))
    expect(seen).toEqual([['k of 0'], ['k of 1'], ['k of 2'], ['k of 3']])
  })

  test('J1: no name can address a lock of another namespace', async () => {
    const world = new World()
    const [a, b] = [world.process({ namespace: 'a' }), world.process()]
    await a.locks.acquire('k')
    for (const { key } of await world.store.list()) expect(await b.locks.tryAcquire(key)).not.toBeNull()
  })

  test('J1: of the same name in two processes are one namespace', async () => {
    const world = new World()
    const [a, b] = [world.process({ namespace: 'a' }), world.process({ namespace: 'a' })]
    await a.locks.acquire('k')
    expect(await b.locks.tryAcquire('k')).toBeNull()
  })
})

describe('policies', () => {
  test('J1: check the name', async () => {
    const world = new World()
    const { locks } = world.process({ policy: { checkKey: (name) => (name.startsWith('app/') ? undefined : 'it does not start with app/') } })
    await locks.acquire('app/k')
    for (const call of [() => locks.acquire('k'), () => locks.tryAcquire('k'), () => locks.request('k', () => {}), () => locks.whenFree('k')]) {
      const error = await errorOf(call())
      expect(error).toMatchObject({ code: 'invalid' })
      expect(error.message).toContain('it does not start with app/')
    }
    expect(() => locks.reentrant('k')).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test('J1: check the holder', async () => {
    const world = new World()
    const policy = { checkHolder: (label?: string) => (label === 'leader' ? undefined : 'only the leader may') }
    await world.process({ policy, label: 'leader' }).locks.acquire('k')
    expect(await errorOf(world.process({ policy }).locks.acquire('l'))).toMatchObject({ code: 'invalid' })
  })

  test('F3: a duration below the minimum is rejected, never clamped', async () => {
    const world = new World()
    const policy = { minDuration: 5_000, maxDuration: 300_000 }
    expect(() => world.process({ policy, duration: 4_999 })).toThrow(expect.objectContaining({ code: 'invalid' }))
    const a = world.process({ policy, duration: 5_000 })
    expect(await errorOf(a.locks.acquire('k', { duration: 4_999 }))).toMatchObject({ code: 'invalid' })
    expect(await errorOf(a.locks.acquire('k', { duration: 300_001 }))).toMatchObject({ code: 'invalid' })
    expect(() => a.locks.reentrant('k', { duration: 4_999 })).toThrow(expect.objectContaining({ code: 'invalid' }))
    expect(a.link.sent).toEqual([])
    const lock = await a.locks.acquire('k', { duration: 300_000 })
    expect(await errorOf(lock.renew(300_001))).toMatchObject({ code: 'invalid' })
    expect(lock.isHeld()).toBe(true)
  })

  test('J1: of one namespace do not apply to another', async () => {
    const world = new World()
    world.process({ namespace: 'a', policy: { minDuration: 1_000 } })
    expect((await world.process({ namespace: 'b', duration: 100 }).locks.acquire('k')).isHeld()).toBe(true)
  })
})

describe('F5: metadata', () => {
  test.each([{ url: 'http://leader', port: 80 }, [1, 'two', null], 'text', 0, false, null, ''])(
    '%j can be read by other sessions',
    async (metadata) => {
      const world = new World()
      const [a, b] = [world.process(), world.process()]
      await a.locks.acquire('k', { metadata })
      b.locks.acquire('k', { metadata }).catch(() => {})
      await settle()
      const { held, pending } = await world.process().locks.query('k')
      expect([held[0]?.metadata, pending[0]?.metadata]).toEqual([metadata, metadata])
    },
  )

  test('F5: is kept through confirmation and renewals', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k', { metadata: { n: 1 } })
    await settle()
    await lock.release()
    await (await wait).renew(5_000)
    await world.pass(lease)
    expect((await a.locks.query('k')).held[0]?.metadata).toEqual({ n: 1 })
  })

  test('F2: a conflict carries the holder with its metadata', async () => {
    const world = new World()
    await world.process().locks.acquire('k', { metadata: { url: 'x' } })
    const error = await errorOf(world.process().locks.acquire('k', { timeout: 0 }))
    expect(error).toMatchObject({ code: 'held', holders: [{ metadata: { url: 'x' } }] })
  })
})
