import type { Clock } from '../src/locks/clock.ts'
import type { Guard, HeldLock, Locks, LocksOptions } from '../src/locks/types.ts'
import type { Command, Outcome } from '../src/protocol/index.ts'
import type { Beacon, Message } from '../src/store.ts'
import type { Chance } from './chance.ts'
import type { Machine } from './machine.ts'
import type { PlainStore } from './store.ts'
import type { Timeline } from './timeline.ts'

/** What kind of world it is. */
export interface Shape {
  /** The library's channels and beacons that its processes use: a browser's, those between processes, or any that fulfil the contract. */
  readonly kind: 'tabs' | 'sockets' | 'any'
  /** Of every session, in ms. */
  readonly duration: number
  /** In ms. */
  readonly maxBackoff: number
  readonly machines: number
  /** How far the rates of clocks may be off, as a share of 1. */
  readonly drift: number
  /** Whether clocks are good enough for all promises; otherwise only the fence's are checked. */
  readonly timely: boolean
  /** Whether somebody sets wall clocks. */
  readonly wallSteps: boolean
  /** Whether machines are suspended one by one, and not all at once. */
  readonly sleepsAlone: boolean
  /** How many may hold {@link limitedKey} together; without it, it is a key like the others. */
  readonly limit: number | undefined
}

export type Tally = Record<'operations' | 'faults' | 'told', Record<string, number>>

/** The keys that everyone competes for. */
export const keys = ['k', 'l', 'm'] as const
/** The one that several may hold together, in some worlds. */
export const limitedKey = 'k'
/** The key that no process's policy allows. */
export const forbidden = 'forbidden'

/** The properties of one process. */
export interface Traits {
  readonly machine: Machine
  /** How fast its clocks run; 1 is right. */
  readonly rate: number
  /** A brittle one throws now and then. */
  readonly channel: 'none' | 'brittle' | 'fine'
  readonly beacon: boolean
  /** What happens when one is raised. */
  readonly raising: 'works' | 'fails' | 'hangs'
  /** Whether nobody can tell that it died although it has a beacon. */
  readonly silent: boolean
  readonly isPage: boolean
  /** How long a call takes on its way, there and back each, in ms, at most. */
  readonly latency: number
  /** Other options of its locks. */
  readonly options: Pick<LocksOptions, 'namespace' | 'expiry' | 'policy' | 'linger'>
}

/** What a lock and a guard of a re-entrant one have in common. */
export type Held = HeldLock | Guard

/** A process as the parts of its world see it. */
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
  /** How many of the engine's channels it has open. */
  channels: number
  /** The commands with keys by which its users have ever wanted to take a lock from others. */
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
