import { describe, expect, test } from 'vitest'
import type { Json, LockInfo } from '../../src/index.ts'
import { beat, duration, errorOf, settle, stateOf, World } from './world.ts'

/** Two processes; the first holds `k` and is notified of asks. */
async function asked(options: { channel?: boolean } = {}) {
  const world = new World()
  const [holder, asker] = [world.process({ label: 'holder', ...options }), world.process({ label: 'asker', ...options })]
  const heard: [Json, LockInfo][] = []
  const lock = await holder.locks.acquire('k', { onReleaseRequested: (ask, who) => heard.push([ask, who]) })
  return { world, holder, asker, lock, heard }
}

describe('T3: a release request', () => {
  test('reaches the holder at once with a channel, and shows the asking session and its payload', async () => {
    const { asker, lock, heard, world } = await asked()
    const wait = asker.locks.acquire('k', { ask: { upload: 'again' }, metadata: 'm' })
    await settle()
    const { session } = asker.locks
    expect(heard).toEqual([
      [{ upload: 'again' }, { name: 'k', mode: 'exclusive', clientId: expect.any(String), session, label: 'asker', metadata: 'm' }],
    ])
    expect([lock.isHeld(), lock.signal.aborted]).toEqual([true, false])
    await lock.release()
    await world.pass(10)
    expect((await wait).isHeld()).toBe(true)
  })

  test('reaches a holder that renews by hand with its next renewal, without a channel', async () => {
    const world = new World()
    const [holder, asker] = [world.process({ channel: false }), world.process({ channel: false })]
    const heard: Json[] = []
    const lock = await holder.locks.acquire('k', { renew: 'manual', onReleaseRequested: (ask) => heard.push(ask) })
    asker.locks.acquire('k', { ask: 'please' })
    await world.pass(duration / 2)
    expect(heard).toEqual([])
    await lock.renew()
    await settle()
    expect(heard).toEqual(['please'])
  })

  test('reaches a holder with its next beat, without a channel', async () => {
    const { asker, heard, world } = await asked({ channel: false })
    asker.locks.acquire('k', { ask: 'please' })
    await settle()
    expect(heard).toEqual([])
    await world.pass(beat)
    expect(heard.map(([ask]) => ask)).toEqual(['please'])
  })

  test('reaches a holder with a later beat if the look for it fails', async () => {
    const { asker, holder, heard, world } = await asked({ channel: false })
    asker.locks.acquire('k', { ask: 'please' })
    await settle()
    holder.link.break('fail', 'read')
    await world.pass(3 * beat)
    expect(heard).toEqual([])
    holder.link.mend()
    const reads = holder.link.reads.length
    await world.pass(5 * beat)
    expect(heard.map(([ask]) => ask)).toEqual(['please'])
    expect(holder.link.reads).toHaveLength(reads + 1)
  })

  test('calls the listener once, however often the record is read, and several requests each call it once', async () => {
    const { asker, heard, world } = await asked()
    const other = world.process()
    asker.locks.acquire('k', { ask: 1 })
    asker.locks.acquire('k', { ask: 1 })
    other.locks.acquire('k', { ask: 2 })
    await world.pass(3 * duration)
    expect(heard.map(([ask]) => ask)).toEqual([1, 1, 2])
  })

  describe('of a waiter that gives up at once', () => {
    test('reaches a holder that renews by hand with its next renewal', async () => {
      const world = new World()
      const [holder, asker] = [world.process({ channel: false }), world.process({ channel: false })]
      const heard: Json[] = []
      const lock = await holder.locks.acquire('k', { renew: 'manual', onReleaseRequested: (ask) => heard.push(ask) })
      const failed = errorOf(asker.locks.acquire('k', { ask: 'please', timeout: 1 }))
      await world.pass(duration / 2)
      expect([(await failed).code, heard]).toEqual(['timeout', []])
      await lock.renew()
      await settle()
      expect(heard).toEqual(['please'])
    })

    test('calls the listener once, however often the record is read, and not that of a later holder', async () => {
      const { world, asker, lock, heard } = await asked()
      const failed = errorOf(asker.locks.acquire('k', { ask: 1, timeout: 1 }))
      await world.pass(10)
      expect((await failed).code).toBe('timeout')
      const later: Json[] = []
      const next = world.process().locks.acquire('k', { onReleaseRequested: (ask) => later.push(ask) })
      await world.pass(10)
      asker.locks.acquire('k', { ask: 2 }).catch(() => {})
      await world.pass(3 * duration)
      await lock.release()
      await world.pass(3 * duration)
      expect([heard.map(([ask]) => ask), (await next).isHeld(), later]).toEqual([[1, 2], true, [2]])
    })

    test('reaches the holder although the lock request arrives late, or its answer is lost', async () => {
      for (const fault of ['stall', 'lose'] as const) {
        const { world, asker, heard } = await asked()
        await asker.locks.query()
        asker.link.break(fault, 'request')
        const failed = errorOf(asker.locks.acquire('k', { ask: fault, timeout: 1 }))
        await world.pass(10)
        expect((await failed).code).toBe(fault === 'stall' ? 'timeout' : 'store')
        asker.link.mend()
        asker.link.deliver()
        await world.pass(3 * beat)
        expect(heard.map(([ask]) => ask)).toEqual([fault])
      }
    })

    test('takes no lock: it keeps a free one for at most a turn, and steals none later', async () => {
      const { world, asker, lock } = await asked()
      asker.locks.acquire('free', { ask: 1, timeout: 1 }).then(
        (free) => free.release(),
        () => {},
      )
      const failed = errorOf(asker.locks.acquire('k', { ask: 1, steal: true, grace: 5, timeout: 1 }))
      await world.pass(2 * duration)
      expect([(await failed).code, lock.isHeld(), await world.holders('free')]).toEqual(['timeout', true, []])
    })
  })

  test('is only a wish: without `grace` the asker waits like any other waiter', async () => {
    const { asker, lock, world } = await asked()
    const wait = asker.locks.acquire('k', { ask: 'please' })
    await world.pass(3 * duration)
    expect([lock.isHeld(), await stateOf(wait)]).toEqual([true, 'pending'])
  })

  test('with `steal`, steals after the grace period, and not before', async () => {
    const { asker, lock, world, heard } = await asked()
    const wait = asker.locks.acquire('k', { ask: 'please', steal: true, grace: 300 })
    await world.pass(290)
    expect([lock.isHeld(), await stateOf(wait), heard.length]).toEqual([true, 'pending', 1])
    await world.pass(20)
    expect((await wait).isHeld()).toBe(true)
    await world.pass(beat)
    expect(lock.signal.reason).toMatchObject({ code: 'lost' })
    expect(await world.queue()).toEqual([])
  })

  test('that is cancelled in its grace period steals nothing', async () => {
    const { asker, lock, world } = await asked()
    const stop = new AbortController()
    const wait = asker.locks.request('k', { ask: 'please', steal: true, grace: 300, signal: stop.signal }, () => {})
    const failed = errorOf(wait)
    await world.pass(100)
    stop.abort(new Error('enough'))
    expect((await failed).message).toBe('enough')
    await world.pass(duration)
    expect([lock.isHeld(), await world.queue()]).toEqual([true, []])
  })

  test('whose grace period ends while a grant is being confirmed steals once it waits again', async () => {
    const world = new World()
    const [first, second, asker] = [world.process({ label: 'first' }), world.process({ label: 'second' }), world.process({ label: 'asker' })]
    const lock = await first.locks.acquire('k')
    const grace = 2_600
    const wait = asker.locks.acquire('k', { ask: 'please', steal: true, grace })
    await settle()
    const next = second.locks.acquire('k')
    // The grant arrives too late to be used unconfirmed, and the store does not answer the confirmation until the grant has lapsed.
    await world.pass(1_800)
    asker.link.break('stall', 'renew')
    asker.stop()
    await world.pass(100)
    await lock.release()
    await world.pass(495)
    asker.resume()
    await world.pass(1_000)
    expect(await world.holders()).toEqual(['second'])
    asker.link.mend()
    asker.link.deliver()
    await world.pass(5 * duration)
    expect([await stateOf(wait), await stateOf(next)]).toEqual(['fulfilled', 'fulfilled'])
    expect(await world.holders()).toEqual(['asker'])
  })

  test('reaches every shared holder, including one in the asker’s own process', async () => {
    const world = new World()
    const [one, two] = [world.process(), world.process()]
    const heard: string[] = []
    await one.locks.acquire('k', { mode: 'shared', onReleaseRequested: () => heard.push('one') })
    await two.locks.acquire('k', { mode: 'shared', onReleaseRequested: () => heard.push('two') })
    one.locks.acquire('k', { ask: null })
    await settle()
    expect(heard.toSorted()).toEqual(['one', 'two'])
  })

  test('that was made before a grant reaches the new holder', async () => {
    const { asker, lock, world } = await asked()
    const heard: Json[] = []
    const second = world.process()
    const next = second.locks.acquire('k', { onReleaseRequested: (ask) => heard.push(ask) })
    await settle()
    asker.locks.acquire('k', { ask: 'please' })
    await settle()
    await lock.release()
    await world.pass(50)
    expect((await next).isHeld()).toBe(true)
    await world.pass(beat)
    expect(heard).toEqual(['please'])
  })

  test('is not affected by a listener that throws or rejects', async () => {
    const world = new World()
    const [one, two] = [world.process(), world.process()]
    const said: unknown[] = []
    const { error } = console
    console.error = (what) => said.push(what)
    try {
      const lock = await one.locks.acquire('k', {
        onReleaseRequested: (ask) => {
          if (ask === 1) throw new Error('thrown')
          return Promise.reject(new Error('rejected'))
        },
      })
      two.locks.acquire('k', { ask: 1 })
      two.locks.acquire('k', { ask: 2 })
      await world.pass(3 * duration)
      expect(lock.isHeld()).toBe(true)
    } finally {
      console.error = error
    }
    expect(said.map(String)).toEqual(['Error: thrown', 'Error: rejected'])
  })

  test('works with `request` too, and contradicting options are named', async () => {
    const { asker, lock, world } = await asked()
    const done = asker.locks.request('k', { ask: 'please' }, () => 'mine')
    await settle()
    await lock.release()
    await world.pass(10)
    expect(await done).toBe('mine')
    const { locks } = asker
    await expect(locks.acquire('k', { ask: 'x', steal: true })).rejects.toThrow(/grace/)
    await expect(locks.acquire('k', { grace: 100 })).rejects.toThrow(/grace/)
    await expect(locks.acquire('k', { ask: 'x', steal: true, grace: Number.NaN })).rejects.toThrow(RangeError)
    await expect(locks.acquire('k', { ask: (() => {}) as never })).rejects.toThrow(/ask must be plain JSON/)
    await expect(locks.acquire('k', { onReleaseRequested: 7 as never })).rejects.toThrow(TypeError)
    await expect(locks.request('k', { ask: 'x', ifAvailable: true }, () => {})).rejects.toMatchObject({ name: 'NotSupportedError' })
  })

  describe('costs a holder of many locks reads only of the locks that are concerned', () => {
    /** A process that holds many locks, and another process. */
    async function many(channel: boolean) {
      const world = new World()
      const [holder, asker] = [world.process({ channel }), world.process({ channel })]
      const locks = await Promise.all(Array.from({ length: 200 }, (_, index) => holder.locks.acquire(`${index}`)))
      await world.pass(2 * beat)
      holder.link.reads.length = 0
      return { world, holder, asker, locks }
    }

    test.each([true, false])('when some are asked for (with hints: %s)', async (channel) => {
      const { world, holder, asker } = await many(channel)
      for (const name of ['7', '8']) asker.locks.acquire(name, { ask: 1 }).catch(() => {})
      await world.pass(3 * beat)
      expect(holder.link.reads.length).toBeLessThanOrEqual(2 * (channel ? 2 : 1))
      expect(holder.link.reads.length).toBeGreaterThan(0)
    })

    test.each([true, false])('when one is stolen (with hints: %s)', async (channel) => {
      const { world, holder, asker, locks } = await many(channel)
      await asker.locks.acquire('7', { steal: true })
      await world.pass(3 * beat)
      expect(locks.map((lock) => lock.isHeld()).indexOf(false)).toBe(7)
      expect(holder.link.reads.length).toBeLessThanOrEqual(2)
    })

    test('and reads of all its locks when too many were stolen to name, or the reply that named them was lost', async () => {
      const { world, holder, asker, locks } = await many(false)
      for (let index = 0; index < 20; index++) await asker.locks.acquire(`${index}`, { steal: true })
      await world.pass(2 * beat)
      expect(locks.filter((lock) => lock.isHeld())).toHaveLength(180)
      holder.link.break('lose', 'beat')
      await asker.locks.acquire('100', { steal: true })
      await world.pass(2 * beat)
      holder.link.mend()
      await world.pass(2 * beat)
      expect(locks.filter((lock) => lock.isHeld())).toHaveLength(179)
    })
  })
})
