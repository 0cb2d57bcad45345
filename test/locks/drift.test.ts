import { expect, test } from 'vitest'
import { driftOf } from '../../src/locks/clock.ts'
import { manualClock } from '../../src/testing/clock.ts'

/** A clock whose readings of wall time take these delays, in ms, one after another. */
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

test('a delay between the readings of the two clocks does not count as drift', () => {
  expect(driftOf(slowClock(0))).toBe(1_000_000)
  expect(driftOf(slowClock(200, 0))).toBe(1_000_000)
})

test('on a system that is always busy the last reading counts', () => {
  expect(driftOf(slowClock(200, 200, 200))).toBe(1_000_200)
})
