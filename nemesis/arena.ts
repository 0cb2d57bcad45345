import { leaseFor } from '../src/locks/core/grant.ts'
import type { Final, Line } from './history.ts'
import type { Allowed } from './overlap.ts'
import type { Random } from './random.ts'

/** What a run is made with. */
export interface Setting {
  /** A folder for its files. */
  readonly folder: string
  readonly fenced: boolean
  readonly seed: number
  /** Says what is skipped, and why. */
  readonly log: (line: string) => void
}

/** A fault that can be done to a worker. */
export interface Fault {
  readonly kind: string
  /** Resolves when it is over, with whether it happened. `ms` is how long what lasts is to last. */
  inflict(worker: string, ms: number, random: Random): Promise<boolean>
}

/** Workers on one store, and what can be done to them. One that dies is replaced by another of its name. */
export interface Arena {
  readonly workers: readonly string[]
  readonly faults: readonly Fault[]
  /** Who holds a key's lock, as far as one can tell from outside. */
  holder(key: string): Promise<string | undefined>
  /** How many writes stand in the store. */
  written(): Promise<number>
  final(): Promise<Final>
  /** Rejects as soon as a worker fails by itself. */
  readonly failed: Promise<never>
  /** Lets the workers finish, and ends those that do not. @returns these: a call of theirs is not settled */
  finish(): Promise<string[]>
  /** What each worker noted, those that died too; complete once all have finished. */
  notes(): Promise<Line[][]>
  /** For how long two may hold one lock. */
  readonly allowed: Allowed
  close(): Promise<void>
}

export type OpenArena = (setting: Setting) => Promise<Arena>

/** What the workers make their locks with, in ms. */
export const duration = 500
export const maxBackoff = 50

/** How long a holder that falls silent keeps others waiting, in ms. */
export const lease = leaseFor(duration)

/** For how long a worker may take to finish, in ms. */
export const patience = 15_000

/** By how much a clock is set, in ms: a second, an hour, a month. */
export const steps = [1_000, 3_600_000, 2_592_000_000].flatMap((step) => [step, -step])
