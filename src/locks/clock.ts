import type { LockError } from '../protocol/index.ts'
import { turn } from './turn.ts'

/** Time and randomness, so that tests and simulations can control them. */
export interface Clock {
  /** Wall time in ms since 1970; may step. For display only. */
  now(): number
  /** Time in ms that never steps back. All decisions about time use it. */
  monotonic(): number
  /** Calls `run` once, after `ms`. A `background` timer does not keep a process alive. @returns how to cancel it */
  after(ms: number, run: () => void, background?: boolean): () => void
  /** From 0, included, to 1, excluded. */
  random(): number
  /**
   * Resolves when the event loop has turned, if earlier calls have prevented that for some ms, so that no timer could run; `undefined` if there is no
   * need to wait. A test's clock has no such method.
   * @param now the present time of {@link monotonic}
   */
  turn?(now: number): Promise<void> | undefined
  /** Calls the listener if timers are late here, at once if that is known already. @returns how to stop listening */
  onDegraded?(listener: (error: LockError) => void): () => void
}

/** By how much the wall clock is ahead of the monotonic one, in ms. @param before what the monotonic clock has just shown */
export function driftOf(clock: Clock, before = clock.monotonic()): number {
  for (let tries = 1; ; tries++) {
    const drift = clock.now() - before
    const after = clock.monotonic()
    // A busy system may suspend this thread between the two readings, which looks as if a clock had been set.
    if (after - before < 5 || tries === 3) return drift
    before = after
  }
}

/** The longest time that an engine's timer can measure, in ms: 24 days. A longer timer fires at once. */
export const longestTimer = 2 ** 31 - 1

// In Node, the global `performance` is a getter, which takes as long as the rest of acquiring a re-entrant lock.
const { performance: real, setTimeout: timer } = globalThis

export const systemClock: Clock = {
  now: () => Date.now(),
  // If a test has replaced the timers, use the clock that belongs to them.
  monotonic: () => (setTimeout === timer ? real : performance).now(),
  after(ms, run, background = false) {
    let timer: unknown
    const wait = (left: number): void => {
      const step = Math.min(left, longestTimer)
      timer = setTimeout(() => (step < left ? wait(left - step) : run()), Math.ceil(step))
      // In Node a timer is an object that can let the process end; in a browser it is a number.
      if (background && typeof timer === 'object') (timer as { unref(): void }).unref()
    }
    wait(ms)
    return () => clearTimeout(timer as number)
  },
  random: () => Math.random(),
  turn,
}
