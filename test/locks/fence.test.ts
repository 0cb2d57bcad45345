import { describe, expect, test } from 'vitest'
import { lease, World } from './world.ts'

/** A counter that only holders can increment, through the fence. */
function counter(world: World) {
  let value = 0
  const raise = (lock: Parameters<typeof world.store.transaction>[0]): Promise<number> => world.store.transaction(lock, () => ++value)
  return { raise, value: () => value }
}

describe('J6: a write through a lock', () => {
  test('succeeds while the lock is held, for every kind of lock', async () => {
    const world = new World()
    const { locks } = world.process()
    const { raise, value } = counter(world)
    await locks.request('k', raise)
    await raise(await locks.acquire('handle'))
    const guard = await locks.reentrant('crypto').acquire()
    await raise(guard.clone())
    await guard.release()
    await expect(raise(guard)).rejects.toMatchObject({ code: 'not-held' })
    expect(value()).toBe(3)
  })

  test('works with a name in a namespace, and with a name that only Web Locks allow', async () => {
    const world = new World()
    const { locks } = world.process({ namespace: 'app' })
    const { raise, value } = counter(world)
    await locks.request('\ud800', raise)
    const lock = await locks.acquire('k')
    expect(lock.key).toBe('@app/k')
    await raise(lock)
    expect(value()).toBe(2)
  })

  test('is refused after the release, and after the lease even if no other session took the lock', async () => {
    const world = new World()
    const { locks } = world.process()
    const { raise, value } = counter(world)
    const released = await locks.acquire('k')
    await released.release()
    await expect(raise(released)).rejects.toMatchObject({ code: 'not-held' })
    const late = await locks.acquire('k', { renew: 'manual' })
    await world.pass(lease)
    await expect(raise(late)).rejects.toMatchObject({ code: 'lost' })
    expect(value()).toBe(0)
  })

  test('is refused when the lock was stolen, even if the holder does not know yet', async () => {
    const world = new World()
    const [one, two] = [world.process({ channel: false }), world.process({ channel: false })]
    const { raise, value } = counter(world)
    const robbed = await one.locks.acquire('k')
    const robber = await two.locks.acquire('k', { steal: true })
    expect(robbed.isHeld()).toBe(true)
    await expect(raise(robbed)).rejects.toMatchObject({ code: 'lost' })
    await raise(robber)
    expect(value()).toBe(1)
  })
})

describe('M6: whether a cache is stale', () => {
  test('shows in the token under which it was filled', async () => {
    const world = new World()
    const [one, two] = [world.process(), world.process()]
    const cached: { token: number; loads: number } = { token: 0, loads: 0 }
    const use = async ({ locks }: typeof one): Promise<void> => {
      await locks.request('k', (lock) => {
        if (cached.token < lock.previous || !cached.token) cached.loads++
        cached.token = lock.token
      })
    }
    await use(one)
    await use(one)
    await use(one)
    expect(cached.loads).toBe(1)
    await two.locks.request('k', () => {})
    await use(one)
    expect(cached.loads).toBe(2)
    await use(one)
    expect(cached.loads).toBe(2)
  })

  test('starts from token 0 if the lock was never held', async () => {
    const { locks } = new World().process()
    const lock = await locks.acquire('k')
    expect([lock.previous, lock.dirty]).toEqual([0, false])
    await lock.release()
    expect((await locks.acquire('k')).previous).toBe(lock.token)
  })
})
