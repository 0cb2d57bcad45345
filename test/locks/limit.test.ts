import { describe, expect, test } from 'vitest'
import { duration, errorOf, lease, settle, stateOf, World } from './world.ts'

const two = { limit: 2 } as const

async function taken(world: World, count: number, options: object = two) {
  const processes = Array.from({ length: count }, (_, index) => world.process({ label: 'abcdef'[index] ?? '' }))
  const held = []
  for (const { locks } of processes) held.push(await locks.acquire('k', options))
  return { processes, held }
}

describe('a lock with a limit of n', () => {
  test('is held by n sessions, and a release wakes the first waiter at once', async () => {
    const world = new World()
    const { held } = await taken(world, 2)
    const [c, d] = [world.process({ label: 'c' }), world.process({ label: 'd' })]
    const [next, last] = [c.locks.acquire('k', two), d.locks.acquire('k', two)]
    await settle()
    expect([await world.holders(), await world.queue()]).toEqual([
      ['a', 'b'],
      ['c×1', 'd×1'],
    ])
    await held[1]?.release()
    await settle()
    expect([await world.holders(), await stateOf(last)]).toEqual([['a', 'c'], 'pending'])
    expect((await next).token).toBeGreaterThan(held[1]?.token ?? Infinity)
    expect(held[0]?.isHeld()).toBe(true)
    await held[0]?.release()
    await (await last).release()
    await (await next).release()
  })

  test('is renewed by each holder separately, for as long as that holder beats', async () => {
    const world = new World()
    const { held } = await taken(world, 2)
    const waiting = world.process().locks.acquire('k', two)
    await world.pass(10 * lease)
    expect([held.map((lock) => lock.isHeld()), await stateOf(waiting)]).toEqual([[true, true], 'pending'])
  })

  test('a holder that is proved dead loses its place at once, and the other holders keep theirs', async () => {
    const world = new World()
    const { processes, held } = await taken(world, 2)
    const waiting = world.process({ label: 'c' }).locks.acquire('k', two)
    await settle()
    processes[0]?.crash()
    await world.pass(10)
    expect([await world.holders(), await stateOf(waiting), held[1]?.isHeld()]).toEqual([['b', 'c'], 'fulfilled', true])
  })

  test('a holder that hangs loses its place after its lease, and notices that when it resumes', async () => {
    const world = new World()
    const { processes, held } = await taken(world, 2)
    const waiting = world.process({ label: 'c' }).locks.acquire('k', two)
    await settle()
    processes[1]?.stop()
    await world.pass(lease * 0.9)
    expect(await stateOf(waiting)).toBe('pending')
    await world.pass(lease)
    expect([await world.holders(), await stateOf(waiting)]).toEqual([['a', 'c'], 'fulfilled'])
    processes[1]?.resume()
    expect([held[0]?.isHeld(), held[1]?.isHeld()]).toEqual([true, false])
    await settle()
  })

  test('tryAcquire takes the place of a holder that is proved dead, and returns `null` while all holders are alive', async () => {
    const world = new World()
    const { processes } = await taken(world, 2)
    const c = world.process({ label: 'c' })
    expect(await c.locks.tryAcquire('k', two)).toBeNull()
    processes[0]?.crash()
    expect((await c.locks.tryAcquire('k', two))?.isHeld()).toBe(true)
    expect(await world.holders()).toEqual(['b', 'c'])
  })

  test('tryAcquire observes a holder that looks dead even while others are alive, and takes its place', async () => {
    const world = new World()
    const { processes } = await taken(world, 2)
    processes[0]?.stop()
    await world.pass(2 * lease)
    const asked = world.process({ label: 'c' }).locks.tryAcquire('k', two)
    await world.pass(2 * lease)
    expect((await asked)?.isHeld()).toBe(true)
    expect(await world.holders()).toEqual(['b', 'c'])
  })

  test('one session may hold all places, each by its own lock', async () => {
    const { locks } = new World().process()
    const [one, other] = [await locks.acquire('k', two), await locks.acquire('k', two)]
    expect(await locks.tryAcquire('k', two)).toBeNull()
    await one.release()
    expect([one.isHeld(), other.isHeld()]).toEqual([false, true])
    expect((await locks.tryAcquire('k', two))?.isHeld()).toBe(true)
  })

  test('a revocation from one session takes only that session’s place', async () => {
    const world = new World()
    const { processes, held } = await taken(world, 2)
    await processes[1]?.locks.revoke('k', processes[0]?.locks.session)
    await settle()
    expect(held.map((lock) => lock.isHeld())).toEqual([false, true])
    expect(held[0]?.signal.reason).toMatchObject({ code: 'lost', reason: 'revoked' })
  })

  test('a limit of 1 is the same as no limit: the record is the same, and both kinds of request wait for each other', async () => {
    const world = new World()
    const { held } = await taken(world, 1, { limit: 1 })
    expect((await world.record()).holders[0]?.limit).toBeUndefined()
    const waiting = world.process().locks.acquire('k')
    await settle()
    expect(await stateOf(waiting)).toBe('pending')
    await held[0]?.release()
    expect((await waiting).isHeld()).toBe(true)
  })

  test('does not linger: its release is in the store at once', async () => {
    const world = new World()
    const a = world.process({ linger: 60_000 })
    await (await a.locks.acquire('k', two)).release()
    expect((await world.record()).holders).toEqual([])
  })

  test('whenFree resolves once the last holder has released it', async () => {
    const world = new World()
    const { held } = await taken(world, 2)
    const free = world.process().locks.whenFree('k')
    await settle()
    await held[0]?.release()
    await world.pass(200)
    expect(await stateOf(free)).toBe('pending')
    await held[1]?.release()
    await world.pass(200)
    expect(await stateOf(free)).toBe('fulfilled')
  })

  test('query shows the limit of holders and waiters', async () => {
    const world = new World()
    const { processes } = await taken(world, 2)
    const waiting = world.process().locks.acquire('k', two)
    await settle()
    const { held, pending } = (await processes[0]?.locks.query('k')) ?? {}
    expect([held, pending].map((all) => all?.map(({ limit }) => limit))).toEqual([[2, 2], [2]])
    expect(await stateOf(waiting)).toBe('pending')
  })

  test('an ask reaches all holders', async () => {
    const world = new World()
    const asked: unknown[] = []
    const onReleaseRequested = (ask: unknown, { limit }: { limit?: number | undefined }): unknown => asked.push([ask, limit])
    await taken(world, 2, { ...two, onReleaseRequested })
    const waiting = world.process().locks.acquire('k', { ...two, ask: 'please' })
    await settle()
    expect([asked, await stateOf(waiting)]).toEqual([
      [
        ['please', 2],
        ['please', 2],
      ],
      'pending',
    ])
  })
})

describe('a request with another limit', () => {
  test.each([
    ['a higher one', { limit: 3 }, 'a limit of 3'],
    ['none', {}, 'no limit'],
    ['none, in shared mode', { mode: 'shared' }, 'no limit'],
    ['none, as it steals', { steal: true }, 'no limit'],
  ] as const)('(%s) is refused by every call, with both limits in the message', async (_, options, words) => {
    const world = new World()
    const { held } = await taken(world, 1)
    const { locks } = world.process()
    for (const call of [locks.acquire('k', options), locks.tryAcquire('k', options), locks.request('k', options, () => {})]) {
      const error = await errorOf(call)
      expect(error).toMatchObject({ code: 'invalid', holders: [{ limit: 2 }] })
      expect(error.message).toBe(`"k" is held or waited for with a limit of 2, so it cannot be requested with ${words} meanwhile`)
    }
    expect([held[0]?.isHeld(), await world.queue()]).toEqual([true, []])
  })

  test('is granted when all holders with the old limit are proved dead', async () => {
    const world = new World()
    const b = world.process({ label: 'late' })
    await (await b.locks.acquire('other')).release()
    const { processes } = await taken(world, 2)
    for (const each of processes) each.crash()
    expect((await b.locks.acquire('k', { limit: 3 })).isHeld()).toBe(true)
  })

  test('a re-entrant lock is refused, like any request without a limit', async () => {
    const world = new World()
    await taken(world, 1)
    expect(await errorOf(world.process().locks.reentrant('k').acquire())).toMatchObject({ code: 'invalid' })
  })

  test('request in the Web Locks shape rejects a limit with `steal` or shared mode by NotSupportedError, in the style of the specification', async () => {
    const { locks } = new World().process()
    for (const more of [{ steal: true }, { mode: 'shared' }] as const)
      expect(await errorOf(locks.request('k', { limit: 2, ...more }, () => {}))).toMatchObject({ name: 'NotSupportedError' })
  })
})

describe('a session that waits for its own locks', () => {
  test('gets a deadlock error if it holds every place itself', async () => {
    const world = new World()
    const { locks, warnings } = world.process({ deadlock: 'reject' })
    await locks.acquire('k', two)
    await locks.acquire('k', two)
    const third = errorOf(locks.acquire('k', two))
    await world.pass(duration + 300)
    expect(await third).toMatchObject({ code: 'deadlock' })
    expect(warnings).toMatchObject([{ type: 'deadlock', names: ['k'] }])
  })

  test('gets no error if another session has one of the places, or if its own places change hands', async () => {
    const world = new World()
    await taken(world, 1)
    const { locks, warnings } = world.process({ deadlock: 'reject' })
    await locks.acquire('k', two)
    const third = locks.acquire('k', two)
    await world.pass(10 * lease)
    expect([await stateOf(third), warnings]).toEqual(['pending', []])
    const all = { limit: 3 }
    await locks.acquire('l', all)
    let last = await locks.acquire('l', all)
    let newest = await locks.acquire('l', all)
    const waiting = Array.from({ length: 12 }, () => locks.acquire('l', all))
    for (const next of waiting) {
      await world.pass(duration / 4)
      await last.release()
      last = newest
      newest = await next
    }
    expect(warnings).toEqual([])
  })
})
