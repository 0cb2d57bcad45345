import type { HeldLock } from 'storelock'

/** How a counter is protected: not at all, by holding the lock, or by writes that the fence checks. */
export const modes = ['none', 'lease', 'fenced'] as const
export type Mode = (typeof modes)[number]

/** A counter: the number it shows, and how many writes were made, each of which should have added one. */
export interface Tally {
  readonly value: number
  readonly made: number
}

/** How many writes are gone: somebody who had read an older value wrote over them. */
export const lostOf = ({ value, made }: Tally): number => made - value

export const noTally: Tally = { value: 0, made: 0 }

/** One counter for each mode, in the store that also has the lock. */
export interface Counters {
  read(mode: Mode): Promise<number>
  /** Writes whatever the value was before. */
  write(mode: Mode, value: number): Promise<Tally>
  /** Writes to the fenced counter, unless the lock is no longer held: then it rejects, and nothing was written. */
  writeFenced(lock: HeldLock, value: number): Promise<Tally>
  all(): Promise<Record<Mode, Tally>>
}
