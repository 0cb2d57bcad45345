import type { Clock } from '../src/locks/clock.ts'
import type { Guard, HeldLock, Locks, LocksOptions } from '../src/locks/types.ts'
import type { Command, Outcome } from '../src/protocol/index.ts'
import type { Beacon, Message } from '../src/store.ts'
import type { Chance } from './chance.ts'
import type { Machine } from './machine.ts'
import type { PlainStore } from './store.ts'
import type { Timeline } from './timeline.ts'

/** The kind of a world. */
export interface Shape {
  /** Which channels and beacons the processes use: the library's for browsers, its own for processes, or some that just fulfil the contract. */
  readonly kind: 'tabs' | 'sockets' | 'any'
  /** The duration of every session's locks, in ms. */
  readonly duration: number
  /** In ms. */
  readonly maxBackoff: number
  readonly machines: number
  /** How far the rate of a clock may be off, as a fraction of 1. */
  readonly drift: number
  /** Whether the clocks are accurate enough for all promises. If not, only the promises of the fence are checked. */
  readonly timely: boolean
  /** Whether wall clocks are set now and then. */
  readonly wallSteps: boolean
  /** Whether machines are suspended one by one, not all at once. */
  readonly sleepsAlone: boolean
  /** How many sessions may hold {@link limitedKey} together. Without a limit, it is a key like the others. */
  readonly limit: number | undefined
}

export type Tally = Record<'operations' | 'faults' | 'told', Record<string, number>>

/** The keys for which all processes compete. */
export const keys = ['k', 'l', 'm'] as const
/** The key that, in some worlds, several sessions may hold together. */
export const limitedKey = 'k'
/** The key that no process's policy allows. */
export const forbidden = 'forbidden'

/** The properties of one process. */
export interface Traits {
  readonly machine: Machine
  /** The rate of its clocks. 1 is accurate. */
  readonly rate: number
  /** A brittle channel throws now and then. */
  readonly channel: 'none' | 'brittle' | 'fine'
  readonly beacon: boolean
  /** What happens when it raises its beacon. */
  readonly raising: 'works' | 'fails' | 'hangs'
  /** Whether its beacon stays up when it dies, so that its death is not proved. */
  readonly silent: boolean
  readonly isPage: boolean
  /** The longest time that a call takes each way, in ms. */
  readonly latency: number
  /** Other options of its locks. */
  readonly options: Pick<LocksOptions, 'namespace' | 'expiry' | 'policy' | 'linger'>
}

/** A lock, or a guard of a re-entrant lock. */
export type Held = HeldLock | Guard

/** A process, as the other parts of its world see it. */
export interface Process {
  readonly name: string
  readonly world: World
  readonly traits: Traits
  readonly clock: Clock
  readonly locks: Locks
  readonly dead: boolean
  readonly running: boolean
  /** The number of its browser's lock manager. */
  readonly lockManager: number
  /** How many BroadcastChannels it has open. */
  channels: number
  /** Each command and key by which its users have ever meant to take a lock from another session. */
  readonly meant: ReadonlySet<string>
  enter(task: () => void): void
  leave(task: () => void): void
  strain(): void
  trouble(ms?: number): void
  /** Whether it had no faults for this many ms of running time. */
  isWell(ms: number): boolean
  log(text: () => string): void
}

/** The world as its parts see it. */
export interface World {
  readonly timeline: Timeline
  readonly chance: Chance
  readonly shape: Shape
  readonly machines: readonly Machine[]
  readonly store: PlainStore
  readonly noise: number
  readonly lockManager: number
  readonly processes: readonly Process[]
  readonly everyone: Map<string, Process>
  readonly air: {
    carry(to: Process, deliver: () => void): void
    subscribe(topic: string, process: Process, hear: (message: Message) => void): () => void
    publish(topic: string, message: Message): void
  }
  readonly beacons: {
    of(process: Process): Beacon
    light(process: Process, address: string, session: string, lost: () => void): Promise<() => void>
    watch(process: Process, address: string, signal: AbortSignal): Promise<void>
    seen(process: Process): string[]
  }
  readonly beliefs: { removed(key: string, token: number, fate: 'let go' | 'robbed' | 'evicted'): void }
  readonly ledger: {
    apply(process: Process | undefined, commands: readonly Command[]): Outcome[]
    violated(what: string): void
    unaware(session: string): void
    proved(session: string): void
    grantOf(key: string, token: number, session: string): number | undefined
  }
  crash(process: Process): void
  hangs(process: Process, answer: () => void): void
  count(kind: keyof Tally, name: string): void
  log(who: string, text: () => string): void
  fail(what: string): void
}
