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
  /** On which of the library's channels and beacons its processes meet: a browser's, those between processes, or any that keep to the contract. */
  readonly kind: 'tabs' | 'sockets' | 'any'
  /** Of every session, in ms. */
  readonly duration: number
  /** In ms. */
  readonly maxBackoff: number
  readonly machines: number
  /** How far the rates of clocks are off, as a share of 1. */
  readonly drift: number
  /** Whether clocks are good enough for all promises; else only the fence's hold. */
  readonly timely: boolean
  /** Whether somebody sets wall clocks. */
  readonly wallSteps: boolean
  /** Whether single machines are suspended, and not all at once. */
  readonly sleepsAlone: boolean
}

export type Tally = Record<'operations' | 'faults' | 'told', Record<string, number>>

/** The keys for which all compete. */
export const keys = ['k', 'l', 'm'] as const
/** The one that no process's policy allows. */
export const forbidden = 'forbidden'

/** What is peculiar to one process. */
export interface Traits {
  readonly machine: Machine
  /** How fast its clocks run; 1 is right. */
  readonly rate: number
  /** One that is brittle throws now and then. */
  readonly channel: 'none' | 'brittle' | 'fine'
  readonly beacon: boolean
  /** What comes of raising one. */
  readonly raising: 'works' | 'fails' | 'hangs'
  /** Whether its death shows to nobody though it has a beacon. */
  readonly silent: boolean
  readonly isPage: boolean
  /** How long a call takes on its way, there and back each, in ms: at most. */
  readonly latency: number
  /** What else its locks are made with. */
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
  /** Which of the browser's lock managers it has. */
  readonly lockManager: number
  /** Engine's channels that it has open. */
  channels: number
  /** What its users have ever asked for that takes a lock from others: the command and the key. */
  readonly meant: ReadonlySet<string>
  enter(task: () => void): void
  leave(task: () => void): void
  strain(): void
  trouble(ms?: number): void
  /** Whether nothing has gone wrong with it for so many ms that it could have used. */
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
