import { expect, test } from 'vitest'
import { errorOf, settle, stateOf, World } from './world.ts'

const ifNoQueue = { ifNoQueue: true }

test('L5: a request with ifNoQueue waits for a holder, and is refused if another request waits', async () => {
  const world = new World()
  const [a, b, c] = [world.process(), world.process(), world.process()]
  const lock = await a.locks.acquire('k', ifNoQueue)
  const next = b.locks.acquire('k', ifNoQueue)
  await settle()
  expect(await errorOf(c.locks.acquire('k', ifNoQueue))).toMatchObject({ code: 'held', heldBy: 'process' })
  expect(await c.locks.request('k', ifNoQueue, (none) => none)).toBeNull()
  expect(await stateOf(next)).toBe('pending')
  await lock.release()
  await (await next).release()
  expect(await c.locks.request('k', ifNoQueue, (held) => held?.isHeld())).toBe(true)
})

test('a waiting request of the same session counts as well', async () => {
  const { locks } = new World().process()
  const lock = await locks.acquire('k')
  const next = locks.acquire('k', ifNoQueue)
  await settle()
  expect((await errorOf(locks.acquire('k', ifNoQueue))).code).toBe('held')
  await lock.release()
  await next
})

test('of many requests at the same moment, one waits', async () => {
  const world = new World()
  const lock = await world.process().locks.acquire('k')
  const asked = Array.from({ length: 10 }, () => world.process().locks.acquire('k', ifNoQueue))
  for (const each of asked) each.catch(() => {})
  await settle()
  const states = await Promise.all(asked.map(stateOf))
  expect(states.filter((state) => state === 'pending')).toHaveLength(1)
  await lock.release()
})

test('a waiter that is proved dead does not count', async () => {
  const world = new World()
  const [a, b, c] = [world.process(), world.process(), world.process()]
  const lock = await a.locks.acquire('k')
  b.locks.acquire('k').catch(() => {})
  await settle()
  b.crash()
  const next = c.locks.acquire('k', ifNoQueue)
  await settle()
  expect(await stateOf(next)).toBe('pending')
  await lock.release()
  await next
})

test('a timeout applies while it waits, and with a timeout of 0 it does not wait', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  await a.locks.acquire('k')
  expect((await errorOf(b.locks.acquire('k', { ...ifNoQueue, timeout: 0 }))).code).toBe('held')
  const wait = errorOf(b.locks.acquire('k', { ...ifNoQueue, timeout: 50 }))
  await world.pass(51)
  expect((await wait).code).toBe('timeout')
})

test('ifNoQueue contradicts steal and ifAvailable', async () => {
  const { locks } = new World().process()
  expect((await errorOf(locks.acquire('k', { ...ifNoQueue, steal: true }))).message).toContain('leave out `ifNoQueue`')
  const both = { ...ifNoQueue, ifAvailable: true }
  expect(await errorOf(locks.request('k', both, () => {}) as Promise<unknown>)).toMatchObject({ name: 'NotSupportedError' })
})
