import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createLocks, sessionOf } from '../../src/locks/create.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { settle, World } from './world.ts'

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `name ${index}`)

test('20,000 names that are idle leave the heap within 2 MB of where it began', { timeout: 60_000 }, async () => {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  const store = memoryStore()
  const locks = createLocks({ store })
  /** Uses names in every way, and has the store forget them. */
  const use = async (from: number, to: number): Promise<number> => {
    for (let index = from; index < to; index++) {
      const key = `name ${index}`
      await (await locks.acquire(key)).release()
      await locks.request(key, () => {})
      await (await locks.tryAcquire(key))?.release()
      await locks.whenFree(key)
      await store.apply([{ type: 'sweep', key }])
      if (index % 100 === 0) await settle()
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
    return process.memoryUsage().heapUsed
  }
  // What is compiled and kept once and for all is there after some use.
  const before = await use(0, 2_000)
  expect((await use(2_000, 22_000)) - before).toBeLessThan(2 * 2 ** 20)
  await locks.close()
})

test('a context that wakes, or begins a new session, reads nothing of idle names', async () => {
  const world = new World()
  const { locks, link } = world.process()
  for (const name of names(50)) await (await locks.acquire(name)).release()
  const held = await locks.acquire('held')
  await world.pass(10)
  link.reads.length = 0
  const session = sessionOf(locks)
  session?.sleep(true)
  session?.sleep(false)
  await settle()
  expect(link.reads.length).toBeLessThanOrEqual(1)
  session?.end('for the test')
  await settle()
  expect(held.isHeld()).toBe(false)
  expect(link.reads.length).toBeLessThanOrEqual(2)
})

test('dirty and previous are right of names that were idle for long, and requests are not numbered twice', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const tokens = new Map<string, number>()
  for (const name of names(1_000)) {
    const lock = await a.locks.acquire(name)
    tokens.set(name, lock.token)
    await lock.release()
    if (name.endsWith('0')) await world.pass(10)
  }
  for (const name of ['name 3', 'name 999']) await (await b.locks.acquire(name)).release()
  for (const name of names(1_000)) {
    const lock = await a.locks.acquire(name)
    const taken = ['name 3', 'name 999'].includes(name)
    expect([name, lock.dirty, lock.previous === tokens.get(name)]).toEqual([name, taken, !taken])
    await lock.release()
  }
  const numbers = a.link.sent.flatMap((command) => (command.type === 'request' ? [`${command.key} ${command.number}`] : []))
  expect(new Set(numbers).size).toBe(numbers.length)
})

test('a re-entrant lock stays dirty while its name is idle', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const lock = a.locks.reentrant('k')
  await (await b.locks.acquire('k')).release()
  await (await lock.acquire()).release()
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  expect(lock.dirty).toBe(true)
  lock.clearDirty()
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  expect(lock.dirty).toBe(false)
})
