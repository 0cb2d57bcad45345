import { describe, expect, test } from 'vitest'
import { type Command, LockError, type Outcome } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { beat, duration, errorOf, lease, settle, stateOf, World } from './world.ts'

/** A world's store that answers some commands with this outcome instead of carrying them out. */
const answering = (world: World, these: (command: Command) => boolean, outcome: Outcome): Store => ({
  ...world.store,
  apply: async (commands) => {
    const answers = await world.store.apply(commands.filter((command) => !these(command)))
    return commands.map((command) => (these(command) ? outcome : (answers.shift() as Outcome)))
  },
})

describe('the deadline', () => {
  test('J3: a granted lock is held for at least the duration from the start of the call', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('other')
    a.link.break('mute', 'request')
    const asked = a.locks.acquire('k', { renew: 'manual' })
    await world.pass(100)
    await a.link.deliver()
    const lock = await asked
    await world.pass(duration - 101)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('a grant whose reply took longer than the duration is released, and the lock is requested again', async () => {
    const world = new World()
    const a = world.process()
    a.link.break('mute', 'request')
    const asked = a.locks.acquire('k', { renew: 'manual' })
    await world.pass(duration + 1)
    a.link.mend()
    await a.link.deliver()
    const lock = await asked
    expect(lock.isHeld()).toBe(true)
    expect((await world.record()).holders.map(({ token }) => token)).toEqual([lock.token])
    expect(a.link.count('request')).toBe(2)
  })

  test('J3: a renewal counts from when it was sent', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await world.pass(beat - 1)
    a.link.break('mute', 'beat')
    await world.pass(1)
    a.link.mend()
    a.link.break('hang')
    await world.pass(500)
    await a.link.deliver()
    await world.pass(duration - 501)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('a beat whose reply arrives after the deadline does not bring the lock back', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('mute', 'beat')
    await world.pass(duration)
    expect(lock.isHeld()).toBe(false)
    a.link.mend()
    await a.link.deliver()
    expect(lock.isHeld()).toBe(false)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('a renewal whose reply arrives after the deadline does not bring the lock back', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    a.link.break('mute', 'renew')
    const renewal = errorOf(lock.renew())
    await world.pass(duration)
    await a.link.deliver()
    expect(await renewal).toMatchObject({ code: 'lost' })
    expect(lock.isHeld()).toBe(false)
  })

  test('is noticed by isHeld and assertHeld before any timer has run', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.stop()
    await world.pass(duration)
    expect(lock.isHeld()).toBe(false)
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'lost' }))
  })

  test('F2, T2: the signal aborts at it with a typed reason', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration - 1)
    expect(lock.signal.aborted).toBe(false)
    await world.pass(1)
    expect(lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toBeInstanceOf(LockError)
    expect(lock.signal.reason).toMatchObject({ code: 'lost', name: 'LockError' })
  })

  test('T2: the signal aborts at it when the store hangs', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    const { signal } = lock
    a.link.break('hang')
    await world.pass(duration - 1)
    expect(signal.aborted).toBe(false)
    await world.pass(1)
    expect(signal.aborted).toBe(true)
  })

  test('comes before another session can get the lock', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    const lock = await a.locks.acquire('k')
    a.link.break('hang')
    const other = b.locks.acquire('k').then(() => expect(lock.signal.aborted).toBe(true))
    await world.pass(2 * lease + 1_000)
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('ends the lock for good', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration)
    a.link.mend()
    await world.pass(duration)
    expect(lock.isHeld()).toBe(false)
    expect(await errorOf(lock.renew())).toMatchObject({ code: 'lost' })
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'lost' }))
    expect(lock.signal.aborted).toBe(true)
  })

  test('leaves nothing of a lost lock in the record', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration)
    a.link.mend()
    await world.pass(duration)
    expect((await world.record()).holders).toEqual([])
  })
})

describe('renewal', () => {
  test('M3: happens every tenth of the duration', async () => {
    const world = new World()
    const a = world.process({ duration: 500 })
    await a.locks.acquire('k')
    const before = a.link.count('beat')
    await world.pass(500)
    expect(a.link.count('beat') - before).toBe(10)
  })

  test('the lease in the store is four thirds of the duration', async () => {
    const world = new World()
    const a = world.process({ duration: 900 })
    const lock = await a.locks.acquire('k')
    expect((await world.record()).sessions.get(lock.session)?.lease).toBe(1_200)
    const own = await a.locks.acquire('own', { duration: 300 })
    expect((await world.record('own')).holders).toMatchObject([{ token: own.token, lease: 400 }])
  })

  test('J5: keeps a lock for as long as its holder lives', async () => {
    const world = new World()
    const a = world.process()
    const b = world.process()
    const lock = await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await world.pass(20 * lease)
    expect(lock.isHeld()).toBe(true)
    expect(await stateOf(other)).toBe('pending')
  })

  test('a thousand locks are renewed by one command', async () => {
    const world = new World()
    const a = world.process()
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => a.locks.acquire(`k${index}`)))
    a.link.sent.length = 0
    await world.pass(beat)
    expect(a.link.sent).toHaveLength(1)
  })

  test('a lock with its own duration is renewed every tenth of that duration', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { duration: 300 })
    await world.pass(300)
    expect(a.link.count('renew')).toBe(10)
    expect(lock.isHeld()).toBe(true)
  })

  test('errors of the store are retried until the deadline', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration - 10)
    a.link.mend()
    await world.pass(beat)
    expect(lock.isHeld()).toBe(false)
    const again = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(duration - 2 * beat)
    a.link.mend()
    await world.pass(duration)
    expect(again.isHeld()).toBe(true)
  })

  test('stops at once when the store says that the session no longer holds the lock', async () => {
    const world = new World()
    const a = world.process({ channel: false })
    const lock = await a.locks.acquire('k')
    await world.store.apply([{ type: 'revoke', key: 'k' }])
    await world.pass(beat)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('a session sends no beats while it holds nothing', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const waiting = b.locks.acquire('k', { timeout: 5_000 }).catch(() => {})
    await world.pass(1_000)
    const beats = b.link.count('beat')
    await world.pass(5_000)
    await waiting
    expect(b.link.count('beat')).toBe(beats)
    await lock.release()
    const before = a.link.sent.length
    await world.pass(10_000)
    expect(a.link.sent).toHaveLength(before)
  })

  test('beats do not pile up while the store hangs', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    const before = a.link.count('beat')
    a.link.break('hang')
    await world.pass(10 * duration)
    expect(a.link.count('beat') - before).toBeLessThanOrEqual(3)
  })

  test('goes on when a hung store answers again', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('stall', 'beat')
    await world.pass(duration / 2)
    a.link.mend()
    await a.link.deliver()
    await world.pass(5 * duration)
    expect(lock.isHeld()).toBe(true)
  })
})

describe("renew: 'manual'", () => {
  test('T1: the lock lasts for its duration unless the code renews it', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await world.pass(duration - 1)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
  })

  test('T1: extending is a method', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    for (let round = 0; round < 10; round++) {
      await world.pass(duration - 1)
      await lock.renew()
    }
    expect(lock.isHeld()).toBe(true)
  })

  test('T1: the session’s other locks do not renew it', async () => {
    const world = new World()
    const a = world.process()
    const kept = await a.locks.acquire('other')
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await world.pass(duration)
    expect([lock.isHeld(), kept.isHeld()]).toEqual([false, true])
  })

  test('T1: a lock that was lost this way can be acquired by other sessions', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k', { renew: 'manual' })
    const other = b.locks.acquire('k')
    await world.pass(duration + 1)
    expect(await stateOf(other)).toBe('fulfilled')
  })
})

describe('renew(duration)', () => {
  test.each(['lose', 'mute'] as const)('renews the lock even if its reply is lost (%s)', async (fault) => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ beacon: false })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    a.link.break(fault, 'renew')
    lock.renew(2 * duration).catch(() => {})
    await settle()
    a.link.mend()
    await world.pass(6 * lease)
    expect([lock.isHeld(), await world.holders(), await stateOf(wait)]).toEqual([true, ['a'], 'pending'])
  })

  test('J4: extends the lock to that time from now, not by that time', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await world.pass(1_000)
    await lock.renew(3_000)
    await world.pass(2_999)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('J4: never shortens a lease', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual', duration: 3_000 })
    await lock.renew(200)
    await world.pass(2_999)
    expect(lock.isHeld()).toBe(true)
  })

  test('J4: never shortens the lease of a longer renewal that is still pending', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    a.link.break('mute', 'renew')
    const long = lock.renew(3_000)
    await settle()
    a.link.mend()
    await lock.renew()
    await a.link.deliver()
    await long
    await world.pass(2_999)
    expect(lock.isHeld()).toBe(true)
  })

  test('J4: works on a stale lease that no other session has taken', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    world.stepWall(10 * lease)
    await lock.renew()
    expect(lock.isHeld()).toBe(true)
  })

  test('J4: the holder stays the same', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    const [before] = (await world.record()).holders
    await lock.renew(2_000)
    const [after] = (await world.record()).holders
    expect(after).toMatchObject({ session: before?.session, token: before?.token, number: before?.number })
  })

  test('gives a lock that leaned on its session its own lease', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await lock.renew(6_000)
    expect((await world.record()).holders).toMatchObject([{ lease: 8_000 }])
    await world.pass(60_000)
    expect(lock.isHeld()).toBe(true)
  })

  test('keeps the lock while the store fails, for at most that duration', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await lock.renew(6_000)
    a.link.break('fail')
    await world.pass(5_999)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('rejects with lost after the lock was lost, and with not-held after it was released', async () => {
    const world = new World()
    const a = world.process()
    const lost = await a.locks.acquire('lost', { renew: 'manual' })
    const released = await a.locks.acquire('released')
    await released.release()
    await world.pass(duration)
    expect(await errorOf(lost.renew())).toMatchObject({ code: 'lost' })
    expect(await errorOf(released.renew())).toMatchObject({ code: 'not-held' })
  })

  test('rejects with the error of the store, and keeps the lock', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    expect(await errorOf(lock.renew())).toMatchObject({ code: 'store', cause: a.link.error })
    expect(lock.isHeld()).toBe(true)
  })
})

describe('release', () => {
  test('M5: frees the lock at once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    await lock.release()
    expect(await b.locks.tryAcquire('k')).not.toBeNull()
  })

  test('M5: a holder that stops renewing loses the lock to a waiter at most one lease and a poll later', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process()]
    await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await world.pass(10)
    a.stop()
    await world.pass(lease + lease / 8 + 100)
    expect(await stateOf(other)).toBe('fulfilled')
  })

  test('F2: aborts the signal with not-held', async () => {
    const world = new World()
    const lock = await world.process().locks.acquire('k')
    const { signal } = lock
    await lock.release()
    expect(signal.reason).toMatchObject({ code: 'not-held' })
  })

  test('a signal that is first read after the release is aborted', async () => {
    const world = new World()
    const lock = await world.process().locks.acquire('k')
    await lock.release()
    expect(lock.signal.aborted).toBe(true)
    expect(lock.signal.reason).toMatchObject({ code: 'not-held' })
  })

  test('makes isHeld false before the store has answered', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('hang')
    lock.release()
    expect(lock.isHeld()).toBe(false)
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'not-held' }))
  })

  test('T5: twice is harmless', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    await Promise.all([lock.release(), lock.release()])
    await b.locks.acquire('k')
    await lock.release()
    expect(a.link.count('release')).toBe(1)
    expect(await world.holders()).toEqual(['b'])
  })

  test('after a loss is harmless and resolves', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await world.pass(duration)
    await b.locks.acquire('k')
    await expect(lock.release()).resolves.toBeUndefined()
    expect(await world.holders()).toEqual(['b'])
  })

  test('that fails at first resolves once a later try has released the lock', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    const gone = lock.release()
    await world.pass(beat / 2)
    expect([await stateOf(gone), (await world.record()).holders.length]).toEqual(['pending', 1])
    a.link.mend()
    await world.pass(beat)
    expect(await stateOf(gone)).toBe('fulfilled')
    expect(await b.locks.tryAcquire('k')).not.toBeNull()
  })

  test('that fails causes one warning', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    lock.release()
    await world.pass(3 * beat)
    expect(a.warnings).toMatchObject([{ type: 'release', names: ['k'], error: { code: 'store', cause: a.link.error } }])
  })

  test('that never succeeds rejects once the lease is over, and is not retried for ever', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const other = b.locks.acquire('k')
    await settle()
    a.link.break('fail')
    const gone = errorOf(lock.release())
    await world.pass(lease + 2 * beat)
    expect(await gone).toMatchObject({ code: 'store', cause: a.link.error })
    await world.pass(lease)
    expect(await stateOf(other)).toBe('fulfilled')
    const sent = a.link.sent.length
    await world.pass(10 * lease)
    expect(a.link.sent.length).toBe(sent)
  })

  test('that fails for good is not an unhandled rejection if the caller ignores it', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k', { onReleaseRequested: () => void lock.release() })
    a.link.break('fail', 'release')
    b.locks.acquire('k', { ask: 'please' }).catch(() => {})
    await world.pass(10 * lease)
    // An unhandled rejection would fail this test at its end.
    expect(a.warnings[0]).toMatchObject({ type: 'release', names: ['k'], error: { cause: a.link.error } })
  })

  test('whose reply was lost frees the lock, and resolves at the next try', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    a.link.break('lose')
    const gone = lock.release()
    await settle()
    a.link.mend()
    expect(await b.locks.tryAcquire('k')).not.toBeNull()
    await world.pass(beat)
    expect(await stateOf(gone)).toBe('fulfilled')
  })

  test('while the session holds other locks is retried until it succeeds, however long that takes', async () => {
    const world = new World()
    let fails = true
    const failing = answering(world, (command) => fails && command.type === 'release', { type: 'failed', code: 'store', message: 'not now' })
    const a = world.process({ store: failing })
    const [lock] = await Promise.all([a.locks.acquire('k'), a.locks.acquire('other')])
    const gone = lock.release()
    await world.pass(5 * lease)
    expect([await stateOf(gone), (await world.record()).holders.length]).toEqual(['pending', 1])
    fails = false
    await world.pass(beat)
    expect([await stateOf(gone), (await world.record()).holders.length]).toEqual(['fulfilled', 0])
  })

  test('that the store refuses to carry out rejects', async () => {
    const world = new World()
    const refusing = answering(world, ({ type }) => type === 'release', { type: 'failed', code: 'corrupt', message: 'cannot be read' })
    const a = world.process({ store: refusing })
    const lock = await a.locks.acquire('k')
    expect(await errorOf(lock.release())).toMatchObject({ code: 'corrupt' })
    expect(a.warnings).toMatchObject([{ type: 'release', names: ['k'], error: { code: 'corrupt' } }])
  })

  test('that fails until the locks are closed rejects then', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    const gone = errorOf(lock.release())
    await settle()
    await a.locks.close()
    expect(['store', 'closed']).toContain((await gone).code)
  })
})

describe('disposal', () => {
  test('await using releases', async () => {
    const world = new World()
    const a = world.process()
    {
      await using lock = await a.locks.acquire('k')
      expect(lock.isHeld()).toBe(true)
    }
    expect((await world.record()).holders).toEqual([])
  })

  test('never rejects, also when the store fails for good', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    const disposed = lock[Symbol.asyncDispose]()
    await world.pass(2 * lease)
    await expect(disposed).resolves.toBeUndefined()
  })

  test('lets the error of the block through', async () => {
    const world = new World()
    const a = world.process()
    const block = async (): Promise<void> => {
      await using lock = await a.locks.acquire('k')
      a.link.break('fail')
      throw new RangeError(lock.name)
    }
    const failed = errorOf(block())
    await world.pass(2 * lease)
    expect(await failed).toBeInstanceOf(RangeError)
  })
})

describe('warnings', () => {
  test('come as soon as renewals begin to fail, once, with the deadline', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    await a.locks.acquire('l')
    await world.pass(beat)
    const renewed = a.clock.monotonic()
    a.link.break('fail')
    await world.pass(beat)
    expect(a.warnings).toMatchObject([
      { type: 'renewal', names: ['k', 'l'], error: { code: 'store', cause: a.link.error }, deadline: renewed + duration },
    ])
    await world.pass(3 * beat)
    expect(a.warnings).toHaveLength(1)
  })

  test('come again after renewals had succeeded in between', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    for (let round = 1; round <= 3; round++) {
      a.link.break('fail')
      await world.pass(2 * beat)
      a.link.mend()
      await world.pass(2 * beat)
      expect(a.warnings).toHaveLength(round)
    }
  })

  test('come for a lock with its own duration', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k', { duration: 500 })
    a.link.break('fail')
    await world.pass(50)
    expect(a.warnings).toMatchObject([{ type: 'renewal', names: ['k'], deadline: 500 }])
  })

  test('come when renewals hang, while there is time to act', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('hang')
    await world.pass(duration - 1)
    expect(lock.isHeld()).toBe(true)
    expect(a.warnings).toMatchObject([{ type: 'renewal', names: ['k'] }])
  })

  test('a listener that throws affects nothing', async () => {
    const world = new World()
    const console = globalThis.console.error
    const told: unknown[] = []
    globalThis.console.error = (error) => told.push(error)
    const onWarning = (): never => {
      throw new Error('a broken listener')
    }
    const a = world.process({ onWarning })
    const lock = await a.locks.acquire('k')
    a.link.break('fail')
    await world.pass(2 * beat)
    a.link.mend()
    await world.pass(duration)
    globalThis.console.error = console
    expect(told).toHaveLength(1)
    expect(lock.isHeld()).toBe(true)
  })
})
