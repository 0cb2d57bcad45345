/** The lock that everyone takes. */
export const lockName = 'counter'

/** Short, so that a holder that falls silent is replaced while you watch, but long enough for a busy machine: its lease is four thirds of it. */
export const duration = 2_000

/** The longest pause between two looks of a waiter, in ms. */
export const maxBackoff = 200

/** How long a worker hangs when told to, in ms: long enough to lose its lock, and for others to write meanwhile. */
export const hangTime = 5_000

/** How far a worker's clock is set ahead, in ms. */
export const clockStep = 3_600_000

/** How long a worker thinks between reading and writing, and rests between two turns, in ms: from, to. */
export interface Pace {
  readonly think: readonly [number, number]
  readonly rest: readonly [number, number]
}

export const brisk: Pace = { think: [60, 160], rest: [40, 160] }
/** Slow enough to follow with the eye. */
export const leisurely: Pace = { think: [250, 450], rest: [150, 600] }

export const between = ([from, to]: readonly [number, number]): number => from + Math.random() * (to - from)

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
