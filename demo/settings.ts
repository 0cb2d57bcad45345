/** The lock that all workers take. */
export const lockName = 'counter'

/** The longest pause between two looks of a waiter, in ms. */
export const maxBackoff = 200

/** How far a worker's clock is set ahead, in ms. */
export const clockStep = 3_600_000

/** The speed of a worker, in ms. */
export interface Pace {
  /** The shortest and longest time that a worker thinks between reading and writing, and that it rests between two turns. */
  readonly think: readonly [number, number]
  readonly rest: readonly [number, number]
  /** The duration of the lock: short, so that a silent holder is replaced while you watch. The lease is four thirds of it. */
  readonly duration: number
  /** How long a worker hangs when told to: long enough to lose its lock and for others to write meanwhile. */
  readonly hang: number
}

/** For the tour: many turns, and a duration and a hang with which a busy machine can keep up. */
export const brisk: Pace = { think: [60, 160], rest: [40, 160], duration: 3_000, hang: 12_000 }
/** For people: slow enough to follow. */
export const leisurely: Pace = { think: [250, 450], rest: [150, 600], duration: 1_800, hang: 5_000 }

export const between = ([from, to]: readonly [number, number]): number => from + Math.random() * (to - from)

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
