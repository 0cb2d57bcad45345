import { describe, expect, test } from 'vitest'
import type { LockError } from '../../src/index.ts'
import { beat, duration, errorOf, lease, type Process, settle, stateOf, World } from './world.ts'

/** The error of a call to a store that hangs. */
const hangs = { code: 'store', cause: { message: expect.stringMatching(/^the store has not answered for \d+ ms$/) } }
/** How late the end of the lease may be noticed, in ms. */
const late = beat

/** A process that has used its store, which hangs from now on. */
async function hung(): Promise<{ world: World; process: Process }> {
  const world = new World()
  const process = world.process()
  await (await process.locks.acquire('before')).release()
  process.link.break('hang')
  return { world, process }
}

describe('on a store that hangs', () => {
  test('close() resolves when the lease is over', async () => {
    const { world, process } = await hung()
    const closed = process.locks.close()
    await world.pass(lease - 1)
    expect(await stateOf(closed)).toBe('pending')
    await world.pass(late)
    expect(await stateOf(closed)).toBe('fulfilled')
  })

  test('close() resolves when the lease is over although one lock is held and another waited for', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await Promise.all([a.locks.acquire('k'), b.locks.acquire('l')])
    const wait = errorOf(a.locks.acquire('l'))
    await settle()
    a.link.break('hang')
    const closed = a.locks.close()
    await world.pass(lease + late)
    expect(await stateOf(closed)).toBe('fulfilled')
    expect(await wait).toMatchObject({ code: 'closed' })
  })

  test('release() rejects when the lease is over, and says how long there was no answer', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('hang')
    const gone = lock.release()
    const error = errorOf(gone)
    await world.pass(lease - 1)
    expect(await stateOf(gone)).toBe('pending')
    await world.pass(2 * late)
    expect(await error).toMatchObject({ ...hangs, message: expect.stringContaining('release') })
  })

  test('release() rejects when the lease is over even if the session holds a lock with a longer duration', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    await a.locks.acquire('long', { duration: 100 * duration })
    a.link.break('hang')
    const error = errorOf(lock.release())
    await world.pass(lease + 2 * late)
    expect(await error).toMatchObject(hangs)
  })

  test('request() resolves with its callback’s result when the lease is over', async () => {
    const world = new World()
    const a = world.process()
    const result = a.locks.request('k', () => {
      a.link.break('hang')
      return 'done'
    })
    await world.pass(2 * lease)
    expect(await result).toBe('done')
  })

  test.each<[string, (process: Process) => Promise<unknown>]>([
    ['acquire', ({ locks }) => locks.acquire('k')],
    ['tryAcquire', ({ locks }) => locks.tryAcquire('k')],
    ['request', ({ locks }) => locks.request('k', () => {})],
    ['reentrant', ({ locks }) => locks.reentrant('k').acquire()],
    ['query', ({ locks }) => locks.query()],
    ['whenFree', ({ locks }) => locks.whenFree('k')],
    ['expire', ({ locks }) => locks.expire('k')],
    ['revoke', ({ locks }) => locks.revoke('k')],
    ['pin', ({ locks }) => locks.pin('k', 'me')],
    ['unpin', ({ locks }) => locks.unpin('k', 'me')],
    ['sweep', ({ locks }) => locks.sweep()],
  ])('%s rejects when the lease is over', async (_, call) => {
    const { world, process } = await hung()
    const error = errorOf(call(process))
    await world.pass(lease + late)
    expect(await error).toMatchObject(hangs)
  })

  test('the very first call rejects when the lease is over', async () => {
    const world = new World()
    const a = world.process()
    a.link.break('hang')
    const error = errorOf(a.locks.acquire('k'))
    await world.pass(lease + late)
    expect(await error).toMatchObject(hangs)
  })

  test('renew() rejects', async () => {
    const world = new World()
    const a = world.process()
    const lock = await a.locks.acquire('k')
    a.link.break('hang')
    const error = errorOf(lock.renew())
    await world.pass(lease + late)
    expect(['store', 'lost']).toContain(((await error) as LockError).code)
  })

  test('a wait in the queue rejects when the lease is over', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process()]
    await a.locks.acquire('k')
    const wait = errorOf(b.locks.acquire('k'))
    await settle()
    b.link.break('hang')
    await world.pass(lease + 200 + late)
    expect(await wait).toMatchObject(hangs)
  })
})

describe('a call that the store never answers', () => {
  test('does not hold up later calls', async () => {
    const { world, process } = await hung()
    const first = errorOf(process.locks.acquire('k'))
    await settle()
    process.link.mend()
    const lock = await process.locks.acquire('k')
    await lock.release()
    const snapshot = process.locks.query()
    await world.pass(lease + late)
    expect(await snapshot).toMatchObject({ held: [], pending: [] })
    expect(await first).toMatchObject(hangs)
  })

  test('does not stop later looks: the next wait is served', async () => {
    const world = new World()
    const [a, b] = [world.process(), world.process({ channel: false })]
    const lock = await a.locks.acquire('k')
    const first = errorOf(b.locks.acquire('k'))
    await settle()
    b.link.break('hang', 'read')
    await world.pass(100)
    b.link.mend()
    await world.pass(lease)
    expect(await first).toMatchObject(hangs)
    const next = b.locks.acquire('k')
    await settle()
    await lock.release()
    await world.pass(300)
    expect(await stateOf(next)).toBe('fulfilled')
  })

  test('grants no lock if the store carries it out later', async () => {
    const world = new World()
    const a = world.process()
    await (await a.locks.acquire('before')).release()
    a.link.break('stall', 'request')
    const asked = errorOf(a.locks.acquire('k'))
    await world.pass(lease + late)
    expect(await asked).toMatchObject(hangs)
    await a.link.deliver()
    await world.pass(1)
    expect((await world.record()).holders).toEqual([])
  })

  test('takes no lock away if it is answered after a hint has told of its grant', async () => {
    const world = new World()
    const a = world.process()
    const first = await a.locks.acquire('k')
    a.link.break('mute', 'request')
    const wait = a.locks.acquire('k')
    await settle()
    await first.release()
    const lock = await wait
    await world.pass(lease + late)
    await a.link.deliver()
    await world.pass(beat)
    expect(lock.isHeld()).toBe(true)
    expect((await world.record()).holders).toMatchObject([{ token: lock.token }])
  })
})

describe('a store that reports that it is busy with a user’s transaction', () => {
  /** A process that has used its store, which is busy from now on. */
  async function busy(): Promise<{ world: World; process: Process }> {
    const { world, process } = await hung()
    Object.assign(process.link, { isBusy: () => true })
    process.link.break('stall')
    return { world, process }
  }

  test('ends no wait for a lock, however long it stays busy', async () => {
    const { world, process } = await busy()
    const wait = process.locks.acquire('k')
    await world.pass(1_000_000)
    expect(await stateOf(wait)).toBe('pending')
    process.link.mend()
    await process.link.deliver()
    await world.pass(1)
    expect((await wait).isHeld()).toBe(true)
  })

  test.each<[string, (process: Process) => Promise<unknown>]>([
    ['query', ({ locks }) => locks.query()],
    ['revoke', ({ locks }) => locks.revoke('k')],
  ])('ends %s after two minutes', async (_, call) => {
    const { world, process } = await busy()
    const asked = call(process)
    const error = errorOf(asked)
    await world.pass(119_000)
    expect(await stateOf(asked)).toBe('pending')
    await world.pass(lease + late)
    expect(await error).toMatchObject(hangs)
  })

  test('lets close() resolve when the lease is over', async () => {
    const { world, process } = await busy()
    const closed = process.locks.close()
    await world.pass(lease + late)
    expect(await stateOf(closed)).toBe('fulfilled')
  })
})

test('after a sleep the store gets the full time again to answer', async () => {
  const world = new World()
  const a = world.process()
  await (await a.locks.acquire('before')).release()
  a.link.break('stall', 'request')
  const asked = a.locks.acquire('k')
  await settle()
  a.stop()
  await world.pass(10 * lease)
  a.link.mend()
  a.resume()
  await a.link.deliver()
  await world.pass(1)
  expect((await asked).isHeld()).toBe(true)
})
