import type { Clock } from '../locks/clock.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Lets `ms` pass: timers that fall due run in order, and promises settle in between. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock by `ms`, forward or back, as a person or a time server does; the monotonic clock goes on as before. */
  step(ms: number): void
}

export interface ManualClockOptions {
  /** The initial wall time, in ms since 1970. Default: a day in 2023. */
  start?: number | undefined
  /** What `random()` returns, from 0 to below 1. Default 0.5. */
  random?: (() => number) | undefined
}

/**
 * A clock for tests: pass it to `createLocks({ clock })` and, if tokens should follow it, to the store.
 *
 * @example
 * const clock = manualClock()
 * const locks = createLocks({ store: memoryStore({ now: clock.now }), clock })
 * await clock.advance(10_000)
 */
export function manualClock({ start = 1_700_000_000_000, random = () => 0.5 }: ManualClockOptions = {}): ManualClock {
  let time = 0
  let wall = start
  const timers = new Set<{ readonly at: number; readonly run: () => void }>()

  const nextBy = (end: number) => [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]

  return {
    now: () => wall + time,
    monotonic: () => time,
    random,
    after(ms, run) {
      const timer = { at: time + Math.max(0, ms), run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async advance(ms) {
      const end = time + ms
      await settle()
      for (let timer = nextBy(end); timer; timer = nextBy(end)) {
        timers.delete(timer)
        time = Math.max(time, timer.at)
        timer.run()
        await settle()
      }
      time = end
      await settle()
    },
    step(ms) {
      wall += ms
    },
  }
}

/** Lets all promises settle that do not wait for a timer: a message posted here arrives after them, in Node and in browsers. */
const settle = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
