import { createLocks, LockError, type Locks } from 'storelock'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { memoryStore } from 'storelock/stores/memory'
import { describe, expect, test } from 'vitest'
import { endings, places, stores } from './places.ts'
import { World } from './world.ts'

/** Takes each of these locks once. */
const use = async (locks: Locks, ...names: string[]): Promise<void> => {
  for (const name of names) await (await locks.acquire(name)).release()
}

for (const [kind, open] of Object.entries(stores)) {
  for (const [where, from] of Object.entries(places)) {
    describe(`${kind}, from ${where}`, () => {
      test('sweep drops the records of its own namespace that are not held, waited for or pinned', async () => {
        const store = await open()
        endings.push(() => store.close())
        const [ours, theirs, plain] = ['ours', 'theirs', ''].map((namespace) => {
          const locks = createLocks({ store, namespace })
          endings.push(() => locks.close())
          return locks
        }) as [Locks, Locks, Locks]
        const locks = from(ours)
        for (const each of [locks, theirs, plain]) await use(each, 'idle', '@odd', 'pinned')
        for (const each of [locks, theirs, plain]) await each.pin('pinned', 'ticket 7')
        const held = await locks.acquire('held')
        const token = (await theirs.acquire('last')).token
        expect(await locks.sweep()).toBe(2)
        expect((await store.list('@ours/')).map(({ key }) => key)).toEqual(['@ours/held', '@ours/pinned'])
        expect(await store.list()).toHaveLength(2 + 4 + 3)
        expect(held.isHeld()).toBe(true)
        expect(await plain.sweep()).toBe(2)
        expect((await store.list()).map(({ key }) => key).sort()).toContain('@theirs/idle')
        const again = await locks.acquire('idle')
        expect(again.token).toBeGreaterThan(0)
        expect(await locks.sweep()).toBe(0)
        expect(token).toBeGreaterThan(0)
      })

      test('sweep handles more records than it reads at a time', async () => {
        const store = await open()
        endings.push(() => store.close())
        const locks = createLocks({ store })
        endings.push(() => locks.close())
        const names = Array.from({ length: 450 }, (_, index) => `name ${index}`)
        await Promise.all(names.map((name) => use(locks, name)))
        const held = await locks.acquire('name 7')
        expect(await from(locks).sweep()).toBe(449)
        expect((await store.list()).map(({ key }) => key)).toEqual(['name 7'])
        await held.release()
      })
    })
  }
}

test('sweep drops only records that have not changed for olderThan', async () => {
  const world = new World()
  const { locks } = world.process()
  await use(locks, 'old')
  await world.pass(60_000)
  await use(locks, 'young')
  expect(await locks.sweep({ olderThan: 70_000 })).toBe(0)
  expect(await locks.sweep({ olderThan: 30_000 })).toBe(1)
  expect((await world.store.list()).map(({ key }) => key)).toEqual(['young'])
})

test('an invalid age is refused', async () => {
  const { locks } = new World().process()
  for (const olderThan of [-1, Number.NaN, '1d', null]) await expect(locks.sweep({ olderThan: olderThan as number })).rejects.toThrow(RangeError)
})

test('tokens rise over a sweep, and a lock that another session may have had meanwhile is dirty', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const first = await a.locks.acquire('k')
  await first.release()
  await a.locks.sweep()
  await use(b.locks, 'k')
  await b.locks.sweep()
  const last = await a.locks.acquire('k')
  expect(last.token).toBeGreaterThan(first.token)
  expect(last.previous).toBeGreaterThan(first.token)
  expect(last.dirty).toBe(true)
})

test('at a lock server, only an admin may sweep', async () => {
  const store = memoryStore()
  const clients = [
    { name: 'user', token: 'the-token-of-the-user-0123456789' },
    { name: 'root', token: 'the-token-of-the-admin-0123456789', admin: true },
  ]
  const server = await serve(store, { clients })
  endings.push(() => server.close())
  const locksOf = (token: string): Locks => {
    const client = httpStore(server.url, { token })
    const locks = createLocks({ store: client })
    endings.push(
      () => client.close(),
      () => locks.close(),
    )
    return locks
  }
  const [user, root] = clients.map(({ token }) => locksOf(token)) as [Locks, Locks]
  await use(user, 'k')
  const refused = await user.sweep().catch((error) => error)
  expect(refused).toBeInstanceOf(LockError)
  expect(refused).toMatchObject({ code: 'invalid', message: expect.stringContaining('admin') })
  expect(await root.sweep()).toBe(1)
  expect(await store.list()).toEqual([])
})
