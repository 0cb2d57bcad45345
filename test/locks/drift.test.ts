import { expect, test } from 'vitest'
import { driftOf } from '../../src/locks/clock.ts'
import { manualClock } from '../../src/testing/clock.ts'

/** A clock of which reading the wall time takes so long, in ms, each time it is read. */
function slowClock(...delays: number[]) {
  const clock = manualClock()
  let time = 0
  return {
    ...clock,
    monotonic: () => time,
    now() {
      time += delays.shift() ?? 0
      return 1_000_000 + time
    },
  }
}

test('a busy system that lets a thread wait between two readings of its clocks does not make them part', () => {
  expect(driftOf(slowClock(0))).toBe(1_000_000)
  expect(driftOf(slowClock(200, 0))).toBe(1_000_000)
})

test('a system that is always too busy is not waited for', () => {
  expect(driftOf(slowClock(200, 200, 200))).toBe(1_000_200)
})
