import { describe, expect, test } from 'vitest'
import { lastTokenOf } from '../../src/protocol/index.ts'
import { beat, duration, errorOf, lease, type Process, type ProcessOptions, settle, stateOf, World } from './world.ts'

const linger = 10_000

/** A process whose locks linger and another process, neither with a command left to send. */
async function lingering(options: ProcessOptions = {}) {
  const world = new World()
  const [keeper, other] = [world.process({ label: 'keeper', linger, ...options }), world.process({ label: 'other' })]
  const first = await keeper.locks.acquire('k')
  await first.release()
  keeper.link.sent.length = other.link.sent.length = 0
  return { world, keeper, other, first }
}

const commands = ({ link }: Process): string[] => link.sent.map(({ type }) => type)

describe('L: a lock that lingers', () => {
  test('is taken again without a command to the store', async () => {
    const { keeper, world } = await lingering()
    for (let turn = 0; turn < 60; turn++) await keeper.locks.request('k', (lock) => lock.assertHeld())
    expect([commands(keeper), keeper.link.reads]).toEqual([[], []])
    expect(await world.holders()).toEqual(['keeper'])
  })

  test('has tokens that stay behind the clock, however often it changes hands or is acquired again', async () => {
    const { keeper, other, world } = await lingering()
    // The manual clock does not move, so tokens rise only by the number that is used or reserved.
    const first = (await world.store.read('k'))?.token as number
    for (let turn = 0; turn < 100; turn++) for (const { locks } of [keeper, other]) await locks.request('k', (lock) => lock.assertHeld())
    const handed = (await world.store.read('k'))?.token as number
    expect((handed - first) / 200).toBeLessThan(100)
    for (let turn = 0; turn < 30_000; turn++) await (await keeper.locks.acquire('k')).release()
    const taken = (await world.store.read('k'))?.token as number
    expect((taken - handed) / 30_000).toBeLessThan(2)
    // The session asked the store for more tokens now and then, ever more rarely.
    expect(commands(keeper).filter((type) => type === 'request').length).toBeLessThan(100 + 20)
  })

  test('has a new token for each use, which no later grant repeats, and `previous` is the token of the use before', async () => {
    const { keeper, other, first } = await lingering()
    const tokens = [first.token]
    for (let turn = 0; turn < 3; turn++) {
      const lock = await keeper.locks.acquire('k')
      expect([lock.previous, lock.dirty]).toEqual([tokens.at(-1), false])
      tokens.push(lock.token)
      await lock.release()
    }
    const lock = await other.locks.acquire('k')
    expect(lock.previous).toBeGreaterThanOrEqual(tokens.at(-1) as number)
    tokens.push(lock.token)
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
  })

  test('ends the released hold', async () => {
    const { keeper, first } = await lingering()
    expect([first.isHeld(), first.signal.aborted]).toEqual([false, true])
    expect(first.signal.reason).toMatchObject({ code: 'not-held' })
    const lock = await keeper.locks.acquire('k')
    expect([first.isHeld(), lock.isHeld()]).toEqual([false, true])
    expect(() => first.assertHeld()).toThrow('was released')
    expect(await errorOf(first.renew())).toMatchObject({ code: 'not-held' })
    await first.release()
    expect(lock.isHeld()).toBe(true)
  })

  test('goes at once to another session that requests it', async () => {
    const { keeper, other } = await lingering()
    const lock = other.locks.acquire('k')
    await settle()
    expect(await stateOf(lock)).toBe('fulfilled')
    expect(commands(keeper)).toEqual(['release'])
  })

  test('goes at once to a request that cannot wait', async () => {
    for (const want of [
      ({ locks }: Process) => locks.tryAcquire('k'),
      ({ locks }: Process) => locks.acquire('k', { timeout: 0 }),
      ({ locks }: Process) => locks.request('k', { ifAvailable: true }, (lock) => lock),
      ({ locks }: Process) => locks.reentrant('k').tryAcquire(),
      ({ locks }: Process) => locks.acquire('k', { mode: 'shared' }),
    ]) {
      const { other } = await lingering()
      const lock = want(other)
      await settle()
      expect(await stateOf(lock)).toBe('fulfilled')
      expect(await lock).not.toBeNull()
    }
  })

  test('is refused, while in use, to a request that cannot wait, after the time that a release may take, and leaves no trace', async () => {
    const { world, keeper, other } = await lingering()
    const lock = await keeper.locks.acquire('k')
    const wanted = other.locks.tryAcquire('k')
    await world.pass(90)
    expect(await stateOf(wanted)).toBe('pending')
    await world.pass(20)
    expect(await wanted).toBeNull()
    expect([lock.isHeld(), await world.queue()]).toEqual([true, []])
  })

  test('goes, when it is released after use, to the next waiter and not back to its session', async () => {
    const { keeper, other } = await lingering()
    const lock = await keeper.locks.acquire('k')
    const wait = other.locks.acquire('k')
    await settle()
    await lock.release()
    const again = keeper.locks.acquire('k')
    await settle()
    expect([await stateOf(wait), await stateOf(again)]).toEqual(['fulfilled', 'pending'])
    const its = await wait
    await its.release()
    await settle()
    expect((await again).dirty).toBe(true)
  })

  test('is handed over within a beat if the hint is lost', async () => {
    const { world, keeper, other } = await lingering()
    keeper.stop()
    const wait = other.locks.acquire('k')
    await settle()
    // A stopped process gets its messages late, and its beat is late as well.
    await world.pass(beat)
    keeper.resume()
    await world.pass(beat + 20)
    expect(await stateOf(wait)).toBe('fulfilled')
  })

  test('is kept alive by beats, and released after its linger time', async () => {
    const { world, keeper } = await lingering()
    await world.pass(linger - 10)
    expect(await world.holders()).toEqual(['keeper'])
    expect(new Set(commands(keeper))).toEqual(new Set(['beat']))
    await world.pass(20)
    expect(await world.holders()).toEqual([])
    expect(commands(keeper).at(-1)).toBe('release')
  })

  test('counts its linger time from the last release', async () => {
    const { world, keeper } = await lingering()
    await world.pass(linger / 2)
    await (await keeper.locks.acquire('k')).release()
    await world.pass(linger - 10)
    expect(await world.holders()).toEqual(['keeper'])
    const lock = await keeper.locks.acquire('k')
    await world.pass(linger)
    expect([lock.isHeld(), await world.holders()]).toEqual([true, ['keeper']])
    await lock.release()
    await world.pass(linger + 10)
    expect(await world.holders()).toEqual([])
  })

  test('needs no beats once it is released in the store', async () => {
    const { world, keeper } = await lingering()
    await world.pass(linger + duration)
    const beats = keeper.link.count('beat')
    await world.pass(10 * duration)
    expect(keeper.link.count('beat')).toBe(beats)
  })

  test('is lost like any other when it cannot be renewed, and the next use asks the store', async () => {
    const { world, keeper } = await lingering()
    keeper.link.break('fail')
    await world.pass(duration + beat)
    keeper.link.mend()
    const wait = keeper.locks.acquire('k')
    await world.pass(2 * beat)
    const lock = await wait
    expect([lock.isHeld(), keeper.link.count('request')]).toEqual([true, 1])
    expect((await world.record()).holders).toMatchObject([{ token: lock.token }])
  })

  test('that another session has stolen is not used again without the store', async () => {
    const { world, keeper, other } = await lingering()
    const stolen = await other.locks.acquire('k', { steal: true })
    await settle()
    const again = keeper.locks.acquire('k')
    await world.pass(beat)
    expect([stolen.isHeld(), await stateOf(again)]).toEqual([true, 'pending'])
  })

  test('of a process that dies does not delay the next waiter', async () => {
    const { world, keeper, other } = await lingering()
    keeper.crash()
    const wait = other.locks.acquire('k')
    await world.pass(10)
    expect((await wait).isHeld()).toBe(true)
  })

  test('of a stopped process costs the next waiter a lease', async () => {
    const { world, keeper, other } = await lingering()
    keeper.stop()
    const wait = other.locks.acquire('k')
    await world.pass(lease - 100)
    expect(await stateOf(wait)).toBe('pending')
    await world.pass(2 * lease)
    expect(await stateOf(wait)).toBe('fulfilled')
    keeper.resume()
    const again = keeper.locks.acquire('k')
    await world.pass(beat)
    expect([(await wait).isHeld(), await stateOf(again)]).toEqual([true, 'pending'])
  })

  test('is released when its locks are closed', async () => {
    const { world, keeper } = await lingering()
    await keeper.locks.close()
    expect(await world.holders()).toEqual([])
  })

  test('counts as free in its own process, and is not shown there as held', async () => {
    const { keeper } = await lingering()
    expect((await keeper.locks.query('k')).held).toEqual([])
    const lock = await keeper.locks.acquire('k')
    expect((await keeper.locks.query('k')).held).toMatchObject([{ name: 'k' }])
    await lock.release()
    await keeper.locks.whenFree('k')
    expect((await keeper.locks.query('k')).held).toEqual([])
  })

  test('is released in the store for a request whose options do not suit its lease', async () => {
    for (const options of [{ mode: 'shared' }, { duration: 2 * duration }, { renew: 'manual' }, { metadata: 'mine' }] as const) {
      const { keeper } = await lingering()
      const lock = await keeper.locks.acquire('k', options)
      expect(lock.isHeld()).toBe(true)
      expect(commands(keeper)).toEqual(['release', 'request'])
      await lock.release()
      expect(commands(keeper)).toEqual(['release', 'request', 'release'])
    }
  })

  test('serves several callers of one process in turn, each with the lock to itself', async () => {
    const { keeper } = await lingering()
    let inside = 0
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        keeper.locks.request('k', async () => {
          expect(++inside).toBe(1)
          order.push(index)
          await settle()
          inside--
        }),
      ),
    )
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })

  test('asks the store for new tokens when its own are used up', async () => {
    const { world, keeper } = await lingering()
    const last = lastTokenOf((await world.record()).holders[0] as never)
    let token = 0
    while (token < last) token = await keeper.locks.request('k', (lock) => lock.token)
    expect(commands(keeper)).toEqual(['release'])
    expect(await keeper.locks.request('k', (lock) => lock.token)).toBeGreaterThan(last)
  })

  test('does not linger without a channel, since no session could ask for it', async () => {
    const { world } = await lingering({ channel: false })
    expect(await world.holders()).toEqual([])
  })

  test('does not linger unless `linger` is set', async () => {
    const { world } = await lingering({ linger: 0 })
    expect(await world.holders()).toEqual([])
  })

  test('serves re-entrant locks too', async () => {
    const { keeper, other } = await lingering()
    const lock = keeper.locks.reentrant('k')
    for (let turn = 0; turn < 3; turn++) await (await lock.acquire()).release()
    expect(commands(keeper)).toEqual([])
    expect(lock.dirty).toBe(false)
    await (await other.locks.acquire('k')).release()
    await lock.acquire()
    expect(lock.dirty).toBe(true)
  })

  test('allows fenced writes while it is held, and none under an earlier use', async () => {
    const { world, keeper, first } = await lingering()
    const lock = await keeper.locks.acquire('k')
    expect(await world.store.transaction(lock, () => 'written')).toBe('written')
    expect(await errorOf(world.store.transaction(first, () => {}))).toMatchObject({ code: 'not-held' })
  })
})

test('an invalid `linger` is refused', async () => {
  for (const wrong of [-1, Number.NaN, '1', 2 ** 53])
    expect(() => new World().process({ linger: wrong as number })).toThrow(/linger is a number of milliseconds/)
})
