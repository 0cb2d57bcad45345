/** The lock that everyone takes. */
export const lockName = 'sync'

/** Short, so that a holder that falls silent is replaced while you watch: two seconds, the lease being four thirds of it. */
export const duration = 1_500
export const lease = (duration * 4) / 3

/** The longest pause between two looks of a waiter, in ms. */
export const maxBackoff = 200

/** How often a writer looks at who holds the lock, in ms: for the eye only, waiting does not depend on it. */
export const lookEvery = 100

/** How long a writer holds the lock when told to, in ms. */
export const holdTime = 3_000

/** How long a writer stands still when told to, in ms: long enough to lose its lock. */
export const standstill = 4_000

/** How long a turn keeps the lock and how long a writer rests between two, in ms: from, to. */
export interface Pace {
  readonly hold: readonly [number, number]
  readonly rest: readonly [number, number]
}

export const brisk: Pace = { hold: [40, 120], rest: [20, 120] }
/** Slow enough to follow, for tabs that people play with. */
export const leisurely: Pace = { hold: [400, 900], rest: [100, 900] }

export const between = ([from, to]: readonly [number, number]): number => from + Math.random() * (to - from)

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
