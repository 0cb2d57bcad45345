import type { LockWarning } from '../locks/events.ts'
import type { LockInfo } from '../locks/types.ts'
import type { Json, Mode } from '../protocol/index.ts'
import type { WireError } from './errors.ts'

/** What a page's clock showed when it answered the worker. */
export interface Reading {
  /** Monotonic time in ms. */
  readonly now: number
  /** By how much the page's wall clock was ahead of its monotonic one, in ms. */
  readonly drift: number
}

/** Until when a page may believe that it holds a lock, on its own monotonic clock, and the drift of the reading that this is based on. */
export interface Term {
  /** In ms. */
  readonly until: number
  readonly drift: number
}

/** What the worker tells a page about a lock that it was granted. */
export interface GrantNews extends Term {
  readonly name: string
  readonly key: string
  readonly mode: Mode
  readonly token: number
  readonly previous: number
  readonly dirty: boolean
  readonly session: string
}

/** The state of all locks that a page holds. */
export interface Pulse {
  /** The id of the page's current session. */
  readonly session: string
  readonly drift: number
  /** The locks that are held without doubt, by number, and until when the page may believe so. */
  readonly until: readonly (readonly [id: number, until: number])[]
}

export interface Welcome extends Pulse {
  /** The session's duration, in ms. */
  readonly duration: number
  readonly spansMachines: boolean
}

/** The result of a call. `calledOff`: the caller's own signal ended it. */
export type Answer<T> = { readonly value: T } | { readonly error: WireError } | { readonly calledOff: true }

/** Options of a call that cannot be sent: they stay in the page, and the worker only learns that they were given. */
export interface Marks {
  readonly signal?: 'live' | 'aborted' | undefined
  /** The call has an `onReleaseRequested`. */
  readonly listens?: boolean
}

/** How a page requests a lock; the lock itself comes through `granted`. */
export type Way = 'request' | 'acquire' | 'tryAcquire' | 'share' | 'tryShare'

/** Calls that need no lock. */
export type Order = 'query' | 'whenFree' | 'expire' | 'revoke' | 'pin' | 'unpin' | 'sweep'

/** The calls that a page makes to its client, the part of the worker that has a session for it. The page numbers calls and locks. */
export interface ClientApi {
  connect(reading: Reading): Welcome
  /** Requests a lock, with the options that are data. A grant is reported before this is answered. */
  ask(id: number, way: Way, name: string, options: object, marks: Marks): Promise<Answer<null>>
  order(id: number, order: Order, args: readonly unknown[], marks: Marks): Promise<Answer<unknown>>
  /** The caller has cancelled the call, whatever its state. */
  callOff(id: number): void
  /** The callback of a request has settled. */
  done(id: number): void
  renew(id: number, reading: Reading, duration?: number): Promise<Answer<Pulse>>
  release(id: number): Promise<Answer<void>>
  check(reading: Reading): Pulse
  /** The page cannot answer for a while, or can again. */
  sleep(asleep: boolean): void
  /** The page is being left: its session ends, and the next one sleeps. */
  leave(): void
  /** A beacon went out although the page is alive. */
  beaconLost(session: string): void
  close(): Promise<void>
}

/** The calls that a worker makes to a page. */
export interface PageApi {
  /** The worker's heartbeat for the page, and the page's for the worker. */
  pulse(pulse: Pulse): Reading
  /** A lock was granted; `null` if a request wanted the lock only if it was free, and it was not. */
  granted(id: number, grant: GrantNews | null): void
  /** A lock is no longer held, although the page did not release it. */
  lost(id: number, error: WireError): void
  asked(id: number, ask: Json, who: LockInfo): void
  warned(warning: Omit<LockWarning, 'error'> & { readonly error: WireError }): void
  /**
   * Raises a beacon.
   * @returns its address, if that succeeded
   * @param lock the name of the native Web Lock to hold, if beacons are native Web Locks
   */
  raise(session: string, lock?: string): Promise<string | undefined>
  lower(session: string): void
}
