import type { Command, LockError, LockRecord, Policy, SessionRow } from '../protocol/index.ts'
import type { Message, Store } from '../store.ts'
import type { Clock } from './clock.ts'
import type { Beats } from './core/grant.ts'
import type { LetGo, Surroundings } from './core/known.ts'
import type { Observer } from './core/observer.ts'
import type { Timed } from './core/rhythm.ts'
import type { LockEvent, LockWarning } from './events.ts'
import type { Reply } from './outbox.ts'
import type { Seen } from './seen.ts'

/** The options of `createLocks`, checked and complete. */
export interface Settings {
  readonly store: Store
  readonly clock: Clock
  /** In ms. */
  readonly duration: number
  /** In ms. */
  readonly maxBackoff: number
  /** In ms. */
  readonly linger: number
  /** In ms. */
  readonly maxHold: number | undefined
  readonly deadlock: 'warn' | 'reject'
  readonly label: string | undefined
  readonly namespace: string
  readonly policy: Policy
  readonly expiry: 'auto' | 'manual'
  readonly onWarning: (warning: LockWarning) => void
  readonly observe: ((event: LockEvent) => void) | undefined
}

/** A lease as seen by the heart that keeps it. */
export interface Kept extends Timed {
  readonly name: string
  readonly key: string
  readonly deadline: number
  renew(): Promise<void>
  keepIfPinned(): Promise<void>
  expireIfDue(now?: number): void
}

/** The heart as seen by what it keeps. */
export interface Pulse {
  readonly leases: ReadonlySet<Kept>
  readonly beats: Beats
  isSteady(now: number, renewedAt: number, drift: number, duration: number): boolean
  start(row: SessionRow, sent: number, drift: number): void
  beatNow(): void
  keep(lease: Kept): void
  wakeSoon(): void
}

/** A session's part in the channel, as seen by its other parts. */
export interface HintSender {
  readonly come: boolean
  begin(): void
  hear(topic: string, listener: () => void): () => void
  send(session: string, message: Message): void
  saw(record: LockRecord): void
  isWatched(key: string): boolean
  sendAll(record: LockRecord): void
}

/** A session's lines, as seen by the parts of a line. */
export interface LineKeeper {
  settle(line: { readonly key: string }): void
  takeObserver(key: string): Observer
}

/** What has to stop when a session ends, as seen by its other parts. */
interface Stops {
  also(stop: () => void): () => void
  pause(ms: number): Promise<boolean>
}

/** A session as seen by its parts. */
export interface Home {
  readonly settings: Settings
  readonly clock: Clock
  /** It changes whenever the session ends: when its page is left, or when another session ends it. */
  readonly id: string
  readonly client: string
  /** The page for which this worker has the session; '' if it is this context's own. */
  readonly realm: string
  readonly heart: Pulse
  readonly seen: Seen
  readonly hints: HintSender
  readonly lines: LineKeeper
  readonly isClosed: boolean
  /** Whether the context sleeps, like a page that was left. */
  readonly isAsleep: boolean
  readonly lingers: boolean
  /** What {@link Key} needs to know about it. */
  readonly surroundings: Surroundings
  /** What stops when the session ends. */
  readonly ending: Stops

  /** @returns `undefined` if it is open */
  open(): Promise<void> | undefined
  send(command: Command): Promise<Reply>
  read<T>(from: (store: Store) => Promise<T>, waits?: boolean): Promise<T>
  beat(): Promise<Reply>
  letGo(what: LetGo, name: string): Promise<void>
  dead(rows: Iterable<SessionRow>): Promise<Set<string>>
  answered(): Promise<void>
  warn(warning: LockWarning): void
  call(listener: () => unknown): Promise<void>

  waitsForItself(line: { readonly key: string }): LockError | undefined
  lookAt(key: string): void
  lookAtHolds(which?: readonly string[]): Promise<void>

  forget(lease: Kept): void
  wrote(reply: Reply): void
  givenUp(): void
  end(why: string): void
  leaveStore(silently?: boolean): Promise<void>
}

/** What a session's keys need to know about it. */
export function surroundingsOf(home: Pick<Home, 'id' | 'settings'>): Surroundings {
  const { duration, maxBackoff, store } = home.settings
  return {
    get id() {
      return home.id
    },
    get trusted() {
      return store.channel?.trusted === true
    },
    // Three of the longest pauses between looks.
    confirm: Math.max(3 * maxBackoff, 500),
    duration,
  }
}
