import type { LockInfo, LockWarning } from '../locks/types.ts'
import type { Json, Mode } from '../protocol/index.ts'
import type { WireError } from './errors.ts'

/** What a page's clock showed when it answered the worker. */
export interface Reading {
  /** Monotonic time in ms. */
  readonly now: number
  /** By how much its wall clock was ahead of it, in ms. */
  readonly drift: number
}

/** Until when a page may believe that it holds, on its own monotonic clock, and the reading on which that rests. */
export interface Term {
  /** In ms. */
  readonly until: number
  readonly drift: number
}

/** What a page is told of a lock that it was given. */
export interface GrantNews extends Term {
  readonly name: string
  readonly key: string
  readonly mode: Mode
  readonly token: number
  readonly previous: number
  readonly dirty: boolean
  readonly session: string
}

/** The state of all that a page holds. */
export interface Pulse {
  /** The id of its present session. */
  readonly session: string
  readonly drift: number
  /** What the page holds without a doubt, each by its number, and until when it may believe so. */
  readonly until: readonly (readonly [id: number, until: number])[]
}

export interface Welcome extends Pulse {
  /** Of the session, in ms. */
  readonly duration: number
  readonly spansMachines: boolean
}

/** What became of a call. `calledOff`: the caller's own signal ended it. */
export type Answer<T> = { readonly value: T } | { readonly error: WireError } | { readonly calledOff: true }

/** The options of a call that are no data: they stay in the page, and only that they were given is told. */
export interface Marks {
  readonly signal?: 'live' | 'aborted' | undefined
  /** It has an `onReleaseRequested`. */
  readonly listens?: boolean
}

/** How a page asks for a lock; what it gets comes by `granted`. */
export type Way = 'request' | 'acquire' | 'tryAcquire' | 'share' | 'tryShare'

/** What needs no lock. */
export type Order = 'query' | 'whenFree' | 'expire' | 'revoke' | 'pin' | 'unpin' | 'sweep'

/** What a page asks of its client: the part of the worker that has a session for it. Calls and locks are known by numbers that the page gives. */
export interface ClientApi {
  connect(reading: Reading): Welcome
  /** Asks for a lock, with the options that are data. Whatever is granted is told before this is answered. */
  ask(id: number, way: Way, name: string, options: object, marks: Marks): Promise<Answer<null>>
  order(id: number, order: Order, args: readonly unknown[], marks: Marks): Promise<Answer<unknown>>
  /** The caller does not want it any more, whatever it has come to. */
  callOff(id: number): void
  /** The callback of a request has settled. */
  done(id: number): void
  renew(id: number, reading: Reading, duration?: number): Promise<Answer<Pulse>>
  release(id: number): Promise<Answer<void>>
  check(reading: Reading): Pulse
  /** The page can answer nothing for a while, or can again. */
  sleep(asleep: boolean): void
  /** The page is being left: its session ends, and the next one sleeps. */
  leave(): void
  /** A beacon went out while the page lives. */
  beaconLost(session: string): void
  close(): Promise<void>
}

/** What a worker asks of a page. */
export interface PageApi {
  /** The worker's heartbeat for the page, and the page's for the worker. */
  pulse(pulse: Pulse): Reading
  /** `null` to a request that wanted the lock only if it was free. */
  granted(id: number, grant: GrantNews | null): void
  /** A lock is not held any more, and not because the page let go. */
  lost(id: number, error: WireError): void
  asked(id: number, ask: Json, who: LockInfo): void
  warned(warning: Omit<LockWarning, 'error'> & { readonly error: WireError }): void
  /** Raises a beacon. @returns its address, if it could @param lock the name of the native Web Lock to raise, where beacons are such */
  raise(session: string, lock?: string): Promise<string | undefined>
  lower(session: string): void
}
