import type { HeldLock } from 'storelock'

/** How a counter is protected: not at all, by the lock alone, or by writes that the fence checks. */
export const modes = ['none', 'lease', 'fenced'] as const
export type Mode = (typeof modes)[number]

/** A counter: its value, and how many writes were made. Each write should have added one. */
export interface Tally {
  readonly value: number
  readonly made: number
}

/** How many writes were lost: a writer that had read an older value overwrote them. */
export const lostOf = ({ value, made }: Tally): number => made - value

export const noTally: Tally = { value: 0, made: 0 }

/** A counter for each mode, in the store that also has the lock. */
export interface Counters {
  read(mode: Mode): Promise<number>
  /** Writes, whatever the value was before. */
  write(mode: Mode, value: number): Promise<Tally>
  /** Writes to the fenced counter. If the lock is no longer held, it rejects and writes nothing. */
  writeFenced(lock: HeldLock, value: number): Promise<Tally>
  all(): Promise<Record<Mode, Tally>>
}
