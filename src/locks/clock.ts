import type { LockError } from '../protocol/index.ts'
import { turn } from './turn.ts'

/** Time and chance, so that tests and simulations can move them. */
export interface Clock {
  /** Wall time in ms since 1970; may step. Shown, never relied on. */
  now(): number
  /** Time in ms that never steps back. All that this library decides about time, it decides by this. */
  monotonic(): number
  /** Calls `run` once, after `ms`. A `background` timer does not keep a process alive. @returns how to call it off */
  after(ms: number, run: () => void, background?: boolean): () => void
  /** From 0, included, to 1, excluded. */
  random(): number
  /**
   * Resolves when the event loop has turned, if the calls before have kept it from that for some ms and so kept timers from running;
   * `undefined` if there is no need to wait. A clock that tests move has none.
   * @param now what {@link monotonic} has just shown
   */
  turn?(now: number): Promise<void> | undefined
  /** Calls the listener, at once or when it turns out, if timers are late here. @returns how to stop listening */
  onDegraded?(listener: (error: LockError) => void): () => void
}

/** By how much the wall clock is ahead of the monotonic one, in ms. @param before what the latter has just shown */
export function driftOf(clock: Clock, before = clock.monotonic()): number {
  for (let tries = 1; ; tries++) {
    const drift = clock.now() - before
    const after = clock.monotonic()
    // A busy system may let this thread wait between the two readings, which then look as if a clock had been set.
    if (after - before < 5 || tries === 3) return drift
    before = after
  }
}

/** The longest that one timer of an engine can measure, in ms: 24 days. A longer one goes off at once. */
export const longestTimer = 2 ** 31 - 1

// In Node the global is a getter, which takes as long as a re-entrant lock otherwise takes to be had.
const { performance: real, setTimeout: timer } = globalThis

export const systemClock: Clock = {
  now: () => Date.now(),
  // Where a test has put timers of its own in their place, its clock is the one that they go by.
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
