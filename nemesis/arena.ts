import { leaseFor } from '../src/locks/core/grant.ts'
import type { Kind } from './check.ts'
import type { Final, Line } from './history.ts'
import type { Allowed } from './overlap.ts'
import type { Random } from './random.ts'

/** The settings of a run. */
export interface Setting {
  /** A folder for its files. */
  readonly folder: string
  readonly fenced: boolean
  readonly seed: number
  /** Reports what is skipped, and why. */
  readonly log: (line: string) => void
}

/** A fault that can be caused to a worker. */
export interface Fault {
  readonly kind: string
  /** Resolves when it is over, with whether it happened. `ms` is the duration of faults that last. */
  inflict(worker: string, ms: number, random: Random): Promise<boolean>
}

/** Workers on one store, and what can be done to them. A worker that dies is replaced by another of the same name. */
export interface Arena {
  readonly workers: readonly string[]
  readonly faults: readonly Fault[]
  /** The worker that holds a key's lock, as far as one can tell from outside. */
  holder(key: string): Promise<string | undefined>
  /** How many writes are in the store. */
  written(): Promise<number>
  final(): Promise<Final>
  /** Rejects as soon as a worker fails by itself. */
  readonly failed: Promise<never>
  /** Lets the workers finish, and kills those that do not. @returns the workers that it killed, each of which had a call that never settled */
  finish(): Promise<string[]>
  /** The notes of each worker, dead ones too. They are complete once all workers have finished. */
  notes(): Promise<Line[][]>
  /** How long two workers may hold one lock at the same time. */
  readonly allowed: Allowed
  /** The control run, unless it is the same run without a fence. */
  readonly control?: Control
  close(): Promise<void>
}

interface Control {
  /** The names of the control and of the other run. */
  readonly names: readonly [control: string, other: string]
  /** The violations that the control may have and the other run must not. */
  readonly kinds: readonly Kind[]
  hasLost(): boolean
}

export type OpenArena = (setting: Setting) => Promise<Arena>

/** The duration of the workers' locks, in ms. */
export const duration = 500
export const maxBackoff = 50

/** How long a silent holder keeps other workers waiting, in ms. */
export const lease = leaseFor(duration)

/** How long a worker may take to finish, in ms. */
export const patience = 15_000

/** The steps by which a clock is set, in ms: a second, an hour, a month. */
export const steps = [1_000, 3_600_000, 2_592_000_000].flatMap((step) => [step, -step])
