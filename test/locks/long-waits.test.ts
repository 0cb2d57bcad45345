import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { longestTimer, systemClock } from '../../src/locks/clock.ts'
import { errorOf, stateOf, World } from './world.ts'

const day = 86_400_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

test('a timer may be longer than the engine’s longest timer', () => {
  let rung = 0
  systemClock.after(3 * longestTimer, () => rung++)
  vi.advanceTimersByTime(3 * longestTimer - 1)
  expect(rung).toBe(0)
  vi.advanceTimersByTime(1)
  expect(rung).toBe(1)
})

test('a timer longer than the engine’s longest can be cancelled at any of its steps', () => {
  let rung = 0
  const callOff = systemClock.after(3 * longestTimer, () => rung++)
  vi.advanceTimersByTime(1.5 * longestTimer)
  callOff()
  vi.advanceTimersByTime(3 * longestTimer)
  expect([rung, vi.getTimerCount()]).toEqual([0, 0])
})

test('a wait may last longer than 24 days', async () => {
  vi.useRealTimers()
  const world = new World()
  const [a, b] = [world.process({ duration: day }), world.process({ duration: day, maxBackoff: 20 * day })]
  await a.locks.acquire('k')
  const wait = b.locks.acquire('k', { timeout: 30 * day })
  const failed = errorOf(wait)
  await world.pass(29 * day)
  expect(await stateOf(wait)).toBe('pending')
  await world.pass(2 * day)
  expect(await failed).toMatchObject({ code: 'timeout' })
})
