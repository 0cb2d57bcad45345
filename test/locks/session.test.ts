import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import type { LockWarning } from '../../src/locks/events.ts'
import type { Beacon, RaisedBeacon, Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { beat, brokenStore, duration, errorOf, lease, type Process, settle, stateOf, World } from './world.ts'

/** A beacon that counts raised beacons, and that tests can delay or break. */
class Beacons implements Beacon {
  readonly lit = new Set<string>()
  raised = 0
  fail: Error | undefined
  gate: Promise<void> | undefined

  async raise(session: string): Promise<RaisedBeacon> {
    await this.gate
    if (this.fail) throw this.fail
    const address = `${session}#${++this.raised}`
    this.lit.add(address)
    return { address, lost: new Promise(() => {}), lower: () => this.lit.delete(address) }
  }

  watch(_address: string, signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
}

/** A process whose beacons are counted. */
function lit(world: World) {
  const beacons = new Beacons()
  const process = world.process({ store: { ...world.store, beacon: beacons } })
  // By default the link uses the memory store's own beacon.
  return { process, beacons }
}

describe('a session', () => {
  test('L6: gets an id that no other session has', () => {
    const world = new World()
    const ids = Array.from({ length: 100 }, () => world.process().locks.session)
    expect(new Set(ids).size).toBe(100)
    for (const id of ids) expect(id).toMatch(/^[0-9a-z]{12,}$/)
  })

  test('touches the store only when it is asked for a lock', async () => {
    const world = new World()
    const a = world.process()
    await world.pass(10 * lease)
    expect([a.link.sent, a.link.reads]).toEqual([[], []])
  })

  test('opens once, however many requests come first', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    await Promise.all(['k', 'l', 'm'].map((key) => process.locks.acquire(key)))
    expect([process.link.count('beat'), beacons.raised]).toEqual([1, 1])
  })

  test('raises its beacon before its first command', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    let raise = (): void => {}
    beacons.gate = new Promise((resolve) => {
      raise = resolve
    })
    const asked = process.locks.acquire('k')
    await settle()
    expect(process.link.sent).toEqual([])
    raise()
    const lock = await asked
    expect((await world.record()).sessions.get(lock.session)?.beacon).toBe(`${lock.session}#1`)
  })

  test('excludes another session with the same label', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'worker' }), world.process({ label: 'worker' })]
    const lock = await a.locks.acquire('k')
    expect(await b.locks.tryAcquire('k')).toBeNull()
    expect(lock.isHeld()).toBe(true)
  })

  test('excludes another session in the same process', async () => {
    const store = memoryStore()
    const [one, other] = [createLocks({ store }), createLocks({ store })]
    await one.acquire('k')
    expect(await other.tryAcquire('k')).toBeNull()
    await Promise.all([one.close(), other.close()])
  })

  test('that could not open rejects the call, and opens at the next call', async () => {
    const world = new World()
    const a = world.process()
    a.link.break('fail')
    expect(await errorOf(a.locks.acquire('k'))).toMatchObject({ code: 'store', cause: a.link.error })
    a.link.mend()
    expect((await a.locks.acquire('k')).isHeld()).toBe(true)
  })

  test('that could not open leaves no beacon raised', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    process.link.break('fail')
    for (let round = 0; round < 3; round++) await errorOf(process.locks.acquire('k'))
    expect(beacons.lit.size).toBe(0)
    process.link.mend()
    await process.locks.acquire('k')
    expect(beacons.lit.size).toBe(1)
  })

  test('that could not open at first gets each hint once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    b.link.break('fail')
    for (let round = 0; round < 3; round++) await errorOf(b.locks.acquire('k'))
    b.link.mend()
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    const reads = b.link.reads.length
    await lock.release()
    await wait
    await settle()
    // A second hint would have caused a look.
    expect(b.link.reads.length - reads).toBe(0)
  })

  test('whose beacon cannot be raised works without one', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    beacons.fail = new Error('no more file handles')
    expect((await process.locks.acquire('k')).isHeld()).toBe(true)
    expect((await world.record()).sessions.get(process.locks.session)?.beacon).toBeUndefined()
  })

  test('whose beacon takes longer than a second starts without it, warns, and uses it once it is raised', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    let raise = (): void => {}
    beacons.gate = new Promise((resolve) => {
      raise = resolve
    })
    const asked = process.locks.acquire('k')
    await world.pass(999)
    expect(await stateOf(asked)).toBe('pending')
    await world.pass(1)
    const lock = await asked
    expect((await world.record()).sessions.get(lock.session)?.beacon).toBeUndefined()
    expect(process.warnings).toMatchObject([
      { type: 'degraded', names: [], error: { code: 'store', message: expect.stringMatching(/^no proofs of death yet/) } },
    ])
    raise()
    await settle()
    expect([(await world.record()).sessions.get(lock.session)?.beacon, beacons.lit.size]).toEqual([`${lock.session}#1`, 1])
    expect(lock.isHeld()).toBe(true)
    await process.locks.close()
    expect(beacons.lit.size).toBe(0)
  })

  test('whose beacon is raised after the session has ended lowers it', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    let raise = (): void => {}
    beacons.gate = new Promise((resolve) => {
      raise = resolve
    })
    const asked = process.locks.acquire('k')
    await world.pass(1_000)
    await asked
    await process.locks.close()
    raise()
    await settle()
    expect([beacons.raised, beacons.lit.size]).toEqual([1, 0])
  })

  test('that lost its beacon ends: its locks are lost at once, and go to the next waiters', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    const before = a.locks.session
    a.link.loseBeacon()
    await settle()
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
    expect(await stateOf(wait)).toBe('fulfilled')
    expect(a.locks.session).not.toBe(before)
  })

  test('that lost its beacon has its waits requested again under the next session', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const waits = [b.locks.acquire('k'), b.locks.acquire('k')]
    await settle()
    b.link.loseBeacon()
    await world.pass(200)
    expect(await world.queue()).toEqual(['b×2'])
    await lock.release()
    await settle()
    await (await waits[0])?.release()
    expect((await waits[1])?.isHeld()).toBe(true)
  })

  test('that was ended as dead requests again under a new session, and gets the lock', async () => {
    const world = new World()
    const a = world.process()
    await (await a.locks.acquire('k')).release()
    await world.store.apply([{ type: 'end', session: a.locks.session }])
    const [k, l] = await Promise.all([a.locks.acquire('k'), a.locks.acquire('l')])
    await world.pass(lease)
    expect([k.isHeld(), l.isHeld(), k.session === l.session]).toEqual([true, true, true])
  })

  test('that was ended as dead raises one new beacon, however many requests it has', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    await (await process.locks.acquire('k')).release()
    await world.store.apply([{ type: 'end', session: process.locks.session }])
    await Promise.all(['k', 'l', 'm'].map((key) => process.locks.acquire(key)))
    expect(beacons.lit).toEqual(new Set([`${process.locks.session}#${beacons.raised}`]))
  })

  test('that was ended as dead while it held locks loses them at its next beat', async () => {
    const world = new World()
    const a = world.process({ channel: false })
    const locks = await Promise.all(['k', 'l'].map((key) => a.locks.acquire(key)))
    await world.store.apply([{ type: 'end', session: a.locks.session }])
    await world.pass(beat)
    expect(locks.map(({ signal }) => signal.reason?.code)).toEqual(['lost', 'lost'])
  })

  test('that ended while a request was under way does not get the lock by that request’s grant', async () => {
    const world = new World()
    const [a, b] = [world.process({ label: 'a' }), world.process({ label: 'b' })]
    await a.locks.acquire('other')
    a.link.break('mute', 'request')
    const asked = a.locks.acquire('k')
    await settle()
    a.link.mend()
    a.link.loseBeacon()
    await settle()
    const other = await b.locks.acquire('k')
    await a.link.deliver()
    await world.pass(10)
    expect([await stateOf(asked), other.isHeld()]).toEqual(['pending', true])
    await other.release()
    await settle()
    expect((await asked).isHeld()).toBe(true)
    expect(await world.holders()).toEqual(['a'])
  })

  test('that ended while a grant was being confirmed does not get the lock by that grant', async () => {
    const world = new World()
    const [a, b, c] = [world.process(), world.process({ label: 'b' }), world.process({ label: 'c' })]
    const lock = await a.locks.acquire('k')
    const asked = b.locks.acquire('k')
    await world.pass(1_000)
    b.stop()
    await lock.release()
    await world.pass(400)
    b.link.break('mute', 'renew')
    b.resume()
    await settle()
    b.link.mend()
    b.link.loseBeacon()
    await settle()
    const other = await c.locks.acquire('k', { steal: true })
    await b.link.deliver()
    await world.pass(10)
    expect([await stateOf(asked), other.isHeld()]).toEqual(['pending', true])
  })

  test('that ended renews nothing of the next session by a late reply to its beat', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    a.link.break('mute', 'beat')
    await world.pass(beat)
    a.link.mend()
    a.link.loseBeacon()
    await settle()
    const lock = await a.locks.acquire('k', { renew: 'manual' })
    await a.link.deliver()
    await world.pass(duration - 1)
    expect(lock.isHeld()).toBe(true)
    await world.pass(1)
    expect(lock.isHeld()).toBe(false)
  })

  test('that is dead has its row removed eventually', async () => {
    const world = new World()
    const [a, b] = [world.process({ beacon: false }), world.process({ duration: 10_000 })]
    const dead = await a.locks.acquire('other')
    a.crash()
    await b.locks.acquire('k')
    await world.pass(300_000)
    expect((await world.record('other')).sessions.get(dead.session)).toBeUndefined()
  })

  test('that waits for long keeps its row', async () => {
    const world = new World()
    const [a, b] = [world.process({ duration: 10_000 }), world.process({ label: 'b', duration: 10_000, maxBackoff: 1_000 })]
    await a.locks.acquire('k')
    b.locks.acquire('k').catch(() => {})
    await world.pass(600_000)
    expect(await world.queue()).toEqual(['b×1'])
    expect(b.link.count('request')).toBe(1)
  })
})

describe('close', () => {
  test('L6: releases everything at once', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const locks = await Promise.all(['k', 'l', 'm'].map((key) => a.locks.acquire(key)))
    const waits = ['k', 'l', 'm'].map((key) => b.locks.acquire(key))
    await settle()
    await a.locks.close()
    expect(locks.map((lock) => lock.isHeld())).toEqual([false, false, false])
    expect(locks.map(({ signal }) => signal.reason.code)).toEqual(['not-held', 'not-held', 'not-held'])
    expect(await Promise.all(waits.map(stateOf))).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  })

  test('sends one batch', async () => {
    const world = new World()
    const a = world.process()
    await Promise.all(['k', 'l', 'm'].map((key) => a.locks.acquire(key)))
    const before = a.link.batches.length
    await a.locks.close()
    expect(a.link.batches.slice(before)).toEqual([4])
  })

  test('rejects waiters with closed, and withdraws their requests', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const waits = [b.locks.acquire('k'), b.locks.request('k', () => {}), b.locks.reentrant('k').acquire()].map(errorOf)
    await settle()
    await b.locks.close()
    for (const error of await Promise.all(waits)) expect(error).toMatchObject({ code: 'closed' })
    expect(await world.queue()).toEqual([])
  })

  test('makes later calls reject with closed', async () => {
    const world = new World()
    const a = world.process()
    const { locks } = a
    const crypto = locks.reentrant('k')
    await locks.close()
    const later = [
      locks.acquire('k'),
      locks.tryAcquire('k'),
      locks.request('k', () => {}),
      locks.query(),
      locks.whenFree('k'),
      locks.expire('k'),
      locks.revoke('k'),
      locks.pin('k', 'x'),
      locks.unpin('k', 'x'),
      crypto.acquire(),
      crypto.tryAcquire(),
    ]
    for (const error of await Promise.all(later.map(errorOf))) expect(error).toMatchObject({ code: 'closed' })
    expect(() => locks.reentrant('other')).toThrow(expect.objectContaining({ code: 'closed' }))
    expect(a.link.sent).toEqual([])
  })

  test('twice is harmless', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    await Promise.all([a.locks.close(), a.locks.close()])
    await a.locks.close()
    expect(a.link.count('end')).toBe(1)
  })

  test('of locks that were never used touches nothing', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.close()
    expect(a.link.sent).toEqual([])
  })

  test('lowers the beacon, and leaves no row and no timer', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    const lock = await process.locks.acquire('k')
    await process.locks.close()
    const sent = process.link.sent.length
    await world.pass(10 * lease)
    expect([beacons.lit.size, process.link.sent.length]).toEqual([0, sent])
    const [row] = await world.store.apply([{ type: 'beat', session: lock.session, client: '', lease: 1 }])
    expect(row).toEqual({ type: 'ended' })
  })

  test('never rejects, also when the store fails', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    a.link.break('fail')
    await expect(a.locks.close()).resolves.toBeUndefined()
    const sent = a.link.sent.length
    await world.pass(10 * lease)
    expect(a.link.sent.length).toBe(sent)
  })

  test('does not close the store', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    await a.locks.close()
    expect(await world.store.read('k')).toBeDefined()
  })

  test('in the turn of the first acquire leaves nothing behind', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    const asked = errorOf(process.locks.acquire('k'))
    await process.locks.close()
    await world.pass(duration)
    expect(await asked).toMatchObject({ code: 'closed' })
    expect([beacons.lit.size, process.link.count('beat')]).toEqual([0, 0])
  })

  test('while a session is being opened leaves nothing behind', async () => {
    const world = new World()
    const { process, beacons } = lit(world)
    let raise = (): void => {}
    beacons.gate = new Promise((resolve) => {
      raise = resolve
    })
    const asked = errorOf(process.locks.acquire('k'))
    await settle()
    await process.locks.close()
    raise()
    await world.pass(duration)
    expect(await asked).toMatchObject({ code: 'closed' })
    expect(beacons.lit.size).toBe(0)
    expect(process.link.count('beat')).toBe(0)
    expect(await world.store.read('k')).toBeUndefined()
  })

  test('while a request is under way leaves nothing behind', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('other')
    a.link.break('stall', 'request')
    const asked = errorOf(a.locks.acquire('k'))
    await settle()
    a.link.mend()
    await a.locks.close()
    await a.link.deliver()
    expect(await asked).toMatchObject({ code: 'closed' })
    expect((await world.store.read('k'))?.holders ?? []).toEqual([])
  })

  test('ends the waits for a free lock and for an expiry', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k', { renew: 'manual' })
    const waits = [b.locks.whenFree('k'), b.locks.expire('k')].map(errorOf)
    await world.pass(100)
    await b.locks.close()
    await world.pass(lease / 8)
    for (const error of await Promise.all(waits)) expect(error).toMatchObject({ code: 'closed' })
  })
})

describe('a store that fails', () => {
  test('rejects with store and its own error as the cause', async () => {
    const cause = Object.assign(new Error('wrong password'), { errno: 1045 })
    const locks = createLocks({ store: brokenStore(cause) })
    const calls = [
      locks.acquire('k'),
      locks.tryAcquire('k'),
      locks.request('k', () => {}),
      locks.query(),
      locks.query('k'),
      locks.whenFree('k'),
      locks.expire('k'),
      locks.revoke('k'),
      locks.pin('k', 'x'),
      locks.reentrant('k').tryAcquire(),
      locks.reentrant('k').acquire(),
    ]
    for (const error of await Promise.all(calls.map(errorOf))) expect(error).toMatchObject({ name: 'LockError', code: 'store', cause })
    await locks.close()
  })

  test('causes no release warning if the session was never opened', async () => {
    const warnings: unknown[] = []
    const locks = createLocks({ store: brokenStore(new Error('down')), onWarning: (warning) => warnings.push(warning) })
    await errorOf(locks.acquire('k'))
    expect(warnings).toEqual([])
    await locks.close()
  })

  test('by throwing is treated the same', async () => {
    const cause = new Error('not a promise')
    const fail = (): never => {
      throw cause
    }
    const locks = createLocks({ store: { apply: fail, read: fail, list: fail, close: async () => {} } })
    for (const error of await Promise.all([locks.acquire('k'), locks.query('k'), locks.whenFree('k')].map(errorOf))) {
      expect(error).toMatchObject({ code: 'store', cause })
    }
    await locks.close()
  })

  test('because it was closed makes calls reject with closed', async () => {
    const store = memoryStore()
    const locks = createLocks({ store })
    await store.close()
    expect(await errorOf(locks.acquire('k'))).toMatchObject({ code: 'closed' })
    expect(await errorOf(locks.query())).toMatchObject({ code: 'closed' })
    await locks.close()
  })

  test('for a moment ends no wait', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    b.link.break('fail')
    await world.pass(lease / 2)
    b.link.mend()
    await lock.release()
    await world.pass(100)
    expect((await wait).isHeld()).toBe(true)
  })

  test('for longer than a lease ends the waits with store', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k'))
    await settle()
    b.link.break('fail')
    await world.pass(lease + 300)
    expect(await wait).toMatchObject({ code: 'store', cause: b.link.error })
  })

  test('at the end of one wait does not count against the next', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    const lock = await a.locks.acquire('k')
    const first = errorOf(b.locks.acquire('k', { timeout: 300 }))
    await settle()
    b.link.break('fail', 'read')
    await world.pass(400)
    expect(await first).toMatchObject({ code: 'timeout' })
    b.link.mend()
    await world.pass(2 * lease)
    const next = b.locks.acquire('k')
    await settle()
    b.link.break('fail', 'read')
    await world.pass(lease / 2)
    expect(await stateOf(next)).toBe('pending')
    b.link.mend()
    await lock.release()
    await world.pass(100)
    expect((await next).isHeld()).toBe(true)
  })

  test('because it was closed during a wait ends the wait with closed', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k'))
    await settle()
    await world.store.close()
    await world.pass(200)
    expect(await wait).toMatchObject({ code: 'closed' })
  })

  test('to confirm a grant in time hands the lock on, and the waiter keeps waiting', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ label: 'b' })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await world.pass(1_000)
    b.stop()
    await lock.release()
    await world.pass(400)
    b.link.break('fail', 'renew')
    b.resume()
    await world.pass(200)
    expect(await stateOf(wait)).toBe('pending')
    b.link.mend()
    await world.pass(500)
    expect((await wait).isHeld()).toBe(true)
  })

  test('to answer three beats does not end the heartbeat for good', async () => {
    const world = new World()
    const a = world.process()
    await a.locks.acquire('k')
    a.link.break('hang')
    await world.pass(duration)
    a.link.mend()
    const asked = a.locks.acquire('k')
    await world.pass(3 * lease)
    expect((await asked).isHeld()).toBe(true)
  })
})

test('locks warn once of something that their store lacks', () => {
  const onDegraded: Store['onDegraded'] = (listener) => {
    listener('no hints here')
    return () => {}
  }
  const store = { ...new World().store, onDegraded }
  const warnings: LockWarning[] = []
  createLocks({ store, onWarning: (warning) => warnings.push(warning) })
  expect(warnings).toMatchObject([{ type: 'degraded', names: [], error: { code: 'store', message: 'no hints here' } }])
})

describe('a session that is granted the lock is notified', () => {
  test('by a hint that names the grant, once', async () => {
    const world = new World()
    const [holder, waiter] = [world.process(), world.process()]
    const hints: unknown[] = []
    const lock = await holder.locks.acquire('k')
    world.store.channel?.subscribe(waiter.locks.session, (hint) => hints.push(hint))
    const wait = waiter.locks.acquire('k')
    await settle()
    await lock.release()
    const { token } = await wait
    await settle()
    expect(hints).toEqual([{ key: 'k', number: 1, token, previous: lock.token }])
  })

  test('by its next look, if every call of the channel throws', async () => {
    const world = new World()
    const thrower = (): never => {
      throw new Error('no channel today')
    }
    const store = { ...world.store, channel: { publish: thrower, subscribe: thrower } }
    const [a, b] = [world.process({ store }), world.process({ store })]
    const lock = await a.locks.acquire('k')
    const wait = b.locks.acquire('k')
    await settle()
    await lock.release()
    await world.pass(200)
    expect((await wait).isHeld()).toBe(true)
    for (const { warnings } of [a, b])
      expect(warnings).toMatchObject([
        { type: 'degraded', names: [], error: { message: 'no hints: the channel fails', cause: { message: 'no channel today' } } },
      ])
  })
})

describe('a session that opens', () => {
  const rowsOf = async (world: World): Promise<string[]> => {
    const [outcome] = await world.store.apply([{ type: 'beat', session: '~', client: '~', lease, opens: true, others: '~' }])
    await world.store.apply([{ type: 'end', session: '~' }])
    return outcome?.type === 'beaten' ? outcome.stale.map(({ label }) => label ?? '') : []
  }
  /** Makes processes and opens their sessions, which stay idle. */
  const several = async (world: World, label: string, count: number): Promise<Process[]> => {
    const made = Array.from({ length: count }, () => world.process({ label }))
    for (const { locks } of made) await (await locks.acquire('k')).release()
    return made
  }

  test('ends the dead sessions that it meets at once, overdue or not, and no others', async () => {
    const world = new World()
    const dead = await several(world, 'dead', 5)
    await several(world, 'alive', 5)
    const stopped = await several(world, 'stopped', 1)
    for (const process of stopped) process.stop()
    for (const process of dead) process.crash()
    const { locks } = world.process({ label: 'new' })
    await locks.acquire('k')
    await world.pass(1)
    expect((await rowsOf(world)).sort()).toEqual(['alive', 'alive', 'alive', 'alive', 'alive', 'new', 'stopped'])
  })

  test('finds dead sessions among many live ones, in a few seconds', async () => {
    const world = new World()
    const alive = await several(world, 'alive', 50)
    const dead = await several(world, 'dead', 50)
    const sessions = alive.map(({ locks }) => locks.session)
    // By then these sessions have finished their own search for dead sessions.
    await world.pass(5_000)
    for (const process of dead) process.crash()
    const opened = world.process({ label: 'new' })
    await opened.locks.acquire('k')
    await world.pass(5_000)
    expect(opened.link.count('end')).toBe(50)
    // The live processes keep their sessions.
    for (const { locks } of alive) await (await locks.acquire('l')).release()
    expect(alive.map(({ locks }) => locks.session)).toEqual(sessions)
  })

  test('writes nothing if no session is dead', async () => {
    const world = new World()
    await several(world, 'alive', 3)
    const opened = world.process()
    await (await opened.locks.acquire('k')).release()
    const sent = opened.link.sent.length
    await world.pass(5_000)
    expect(opened.link.sent.length).toBe(sent)
  })

  test('ends no session if locks expire only by hand', async () => {
    const world = new World()
    const [dead] = (await several(world, 'dead', 1)) as [Process]
    dead.crash()
    const opened = world.process({ expiry: 'manual' })
    await opened.locks.acquire('k')
    await world.pass(5_000)
    expect(opened.link.count('end')).toBe(0)
  })
})

test('a second close() waits for the first', async () => {
  const world = new World()
  const a = world.process()
  await a.locks.acquire('k')
  a.link.break('stall')
  const [first, second] = [a.locks.close(), a.locks.close()]
  expect([await stateOf(first), await stateOf(second)]).toEqual(['pending', 'pending'])
  a.link.mend()
  await a.link.deliver()
  await Promise.all([first, second])
  expect((await world.record()).holders).toEqual([])
})

describe('a store’s report of something that it lacks', () => {
  /** A world's store that counts its listeners. */
  const countingStore = (world: World) => {
    const listeners = new Set<unknown>()
    const listen = (listener: unknown) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
    return { listeners, store: { ...world.store, onDegraded: listen, onLost: listen } satisfies Store }
  }

  test('does not reach closed locks', async () => {
    const world = new World()
    const { listeners, store } = countingStore(world)
    const all = [0, 1].map(() => createLocks({ store }))
    expect(listeners.size).toBe(4)
    for (const locks of all) await locks.close()
    expect(listeners.size).toBe(0)
  })

  test('that hints are back lets locks linger again', async () => {
    const world = new World()
    let tell = (_: string | undefined): void => {}
    const onDegraded: Store['onDegraded'] = (listener) => {
      tell = listener
      return () => {}
    }
    const locks = createLocks({ store: { ...world.store, onDegraded }, clock: world.base, linger: 1_000 })
    const isKept = async (): Promise<boolean> => {
      await locks.request('k', () => {})
      return (await world.record()).holders.length > 0
    }
    tell('no hints')
    expect(await isKept()).toBe(false)
    tell(undefined)
    expect(await isKept()).toBe(true)
    await locks.close()
  })
})
