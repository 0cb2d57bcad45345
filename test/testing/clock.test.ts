import { expect, test } from 'vitest'
import { manualClock } from '../../src/testing/index.ts'

test('F6: timers run in the order in which they fall due, each at its own time', async () => {
  const clock = manualClock({ start: 1_000 })
  const seen: unknown[] = []
  const note = (name: string) => () => seen.push([name, clock.monotonic(), clock.now()])
  clock.after(20, note('second'))
  clock.after(10, note('first'))
  clock.after(20, note('third'))
  clock.after(40, note('later'))
  await clock.advance(30)
  expect(seen).toEqual([
    ['first', 10, 1_010],
    ['second', 20, 1_020],
    ['third', 20, 1_020],
  ])
  expect(clock.monotonic()).toBe(30)
})

test('promises settle between timers, and can set timers that run in the same `advance`', async () => {
  const clock = manualClock()
  const seen: number[] = []
  const sleep = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve))
  const loop = async () => {
    for (;;) {
      await sleep(10)
      seen.push(clock.monotonic())
    }
  }
  void loop()
  await clock.advance(35)
  expect(seen).toEqual([10, 20, 30])
})

test('a cancelled timer never runs', async () => {
  const clock = manualClock()
  let ran = false
  const callOff = clock.after(10, () => {
    ran = true
  })
  callOff()
  await clock.advance(100)
  expect(ran).toBe(false)
})

test('J11: the wall clock can step alone', () => {
  const clock = manualClock({ start: 1_000 })
  clock.step(-500)
  expect([clock.now(), clock.monotonic()]).toEqual([500, 0])
})
