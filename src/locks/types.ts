import type { Fenced, Json, Mode, Policy } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Clock } from './clock.ts'
import type { LockEvent, LockWarning } from './events.ts'

export interface LocksOptions {
  store: Store
  /** How long a holder that cannot renew keeps the lock, in ms. It is renewed every tenth of that. Default 10,000. */
  duration?: number | undefined
  /** The longest pause between two looks of a waiter, in ms. Default 1,000. */
  maxBackoff?: number | undefined
  /**
   * How long a lock stays with this session after its last release while no other session wants it, in ms. Taking it again then needs no store; when
   * another session asks, it gets the lock at once. Only for plain exclusive locks, and only if the store has a channel. Default 0.
   */
  linger?: number | undefined
  /** How long a lock may be held in total, in ms: then it is lost (`expired`), for jobs that hang while their heartbeats go on. Default: no limit. */
  maxHold?: number | undefined
  /**
   * What to do when a lock that this session holds has kept a request of its own waiting for a whole `duration`, such as a request inside its own
   * callback. `warn` calls `onWarning` once for each cycle of locks, `reject` also rejects the request with `deadlock`. Default `warn`.
   */
  deadlock?: 'warn' | 'reject' | undefined
  /** Shown to people who ask who holds a lock. It need not be unique, so it must not serve as an identity. */
  label?: string | undefined
  /** Separates these locks from those of every other namespace in the store. */
  namespace?: string | undefined
  /** What is allowed in this namespace. */
  policy?: Policy | undefined
  /** Whether waiters may evict a holder that has been silent for its lease. With `manual` only `expire()` does. Default `auto`. */
  expiry?: 'auto' | 'manual' | undefined
  /**
   * Called when something goes wrong that no promise can report, such as renewals that start to fail. Default: `console.warn`, once for each type of
   * warning. Pass `onWarning() {}` to silence them.
   */
  onWarning?: ((warning: LockWarning) => void) | undefined
  /**
   * Called with everything that this session does and notices, for logs, traces and metrics: after each step, in order. Without it, and without
   * subscribers to Node's diagnostics channels `storelock:*`, which get the same, this costs nothing that can be measured. Where a worker keeps the
   * locks of pages, it gets the events of their sessions too.
   */
  observe?: ((event: LockEvent) => void) | undefined
  clock?: Clock | undefined
}

export interface AcquireOptions {
  mode?: Mode | undefined
  /**
   * How many requests with this same limit may hold the lock together: 1 to 1,000. Default 1: an exclusive lock. While the lock is held or waited for
   * with another limit, or in shared mode, the call rejects with `invalid`. Contradicts `steal`.
   */
  limit?: number | undefined
  /** How long to wait, in ms; 0 does not wait and fails with `held`. Default: for ever. */
  timeout?: number | undefined
  /** Cancels the wait; the call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** In ms. Default: that of `createLocks`. */
  duration?: number | undefined
  /** How long the lock may be held in total, in ms. Default: that of `createLocks`. */
  maxHold?: number | undefined
  /** Waits only if no request waits yet, in this session or another; otherwise the call fails with `held`. */
  ifNoQueue?: boolean | undefined
  /** `manual`: the lease lasts `duration` unless your code calls `renew()`, or the lock is pinned. Default `auto`. */
  renew?: 'auto' | 'manual' | undefined
  /** Takes the lock from its holders, ahead of the queue. */
  steal?: boolean | undefined
  /** Stored with the lock, for other sessions to read. */
  metadata?: Json | undefined
  /** Asks the present holders to release. They can read this value, and decide; they get it even if this request gives up at once. */
  ask?: Json | undefined
  /** With `ask` and `steal`: how long the holders may take to release before the lock is stolen, in ms. */
  grace?: number | undefined
  /**
   * Called when another request asks for this lock. You still hold the lock until you release it. The call comes at once if the store has a channel,
   * else with the next renewal: a tenth of the duration later at most, unless only your code renews.
   */
  onReleaseRequested?: ReleaseListener | undefined
}

/** Gets the value that another request asks with, and what `query()` shows of that request. */
export type ReleaseListener = (ask: Json, who: LockInfo) => unknown

export interface TryOptions extends Omit<AcquireOptions, 'signal' | 'ask' | 'grace' | 'ifNoQueue'> {
  /** How long to observe a holder that looks dead, in ms; 0: not at all. Default: its lease. The call never waits for one that looks alive. */
  timeout?: number | undefined
}

/** A lock that is, or was, held. */
export interface HeldLock extends Fenced, AsyncDisposable {
  readonly name: string
  /** The key of its record in the store: the name itself, unless it is in a namespace or has characters that stores refuse. */
  readonly key: string
  readonly mode: Mode
  /** The fencing token: higher than that of every earlier grant of this name. Pass it to whatever the lock protects. */
  readonly token: number
  /**
   * The token of the grant before this one, to any session; 0 if there was none. Data cached under an older token may be stale: `if (cache.token <
   * lock.previous) cache = await load()`.
   */
  readonly previous: number
  /**
   * Whether another session had the lock since these locks last held it or, the first time, ever: cached data may be stale. Also true if these locks
   * no longer know, after thousands of other names.
   */
  readonly dirty: boolean
  /** The session that holds it. */
  readonly session: string
  /** Aborts when the lock is lost (reason: a `LockError` `lost`) or released (`not-held`). */
  readonly signal: AbortSignal
  /** Exact whenever your code runs. A lost lock stays lost. */
  isHeld(): boolean
  /** @throws LockError `lost` or `not-held` unless the lock is held */
  assertHeld(): void
  /** Renews now; with `duration`, extends the lease to at least that many ms from now. Rejects with `lost` or `not-held`. */
  renew(duration?: number): Promise<void>
  /**
   * Releases the lock, once. Does nothing if it is lost or released already. Resolves when the store has released it, which may take several tries.
   * Rejects only if the store failed or hung for a whole lease, or was closed; the lock then ends with its lease. You need not await it: failures are
   * reported to `onWarning`, and cause no unhandled rejection.
   */
  release(): Promise<void>
}

/** One user's share of a re-entrant lock. */
export interface Guard extends Fenced, AsyncDisposable {
  readonly name: string
  readonly key: string
  readonly session: string
  readonly token: number
  readonly signal: AbortSignal
  isHeld(): boolean
  assertHeld(): void
  /** Another share of the same hold, to be released on its own. */
  clone(): Guard
  /** Releases this share; the last one releases the lock, as {@link HeldLock.release} does. May be called twice. */
  release(): Promise<void>
}

/** A lock that all parts of this process share: one lease, released with its last guard. */
export interface ReentrantLock {
  readonly name: string
  /** Whether another session has had the lock since it was last clean. Stays true until {@link clearDirty}. */
  readonly dirty: boolean
  clearDirty(): void
  /** Whether it has a user and is held. */
  isHeld(): boolean
  acquire(options?: { timeout?: number | undefined; signal?: AbortSignal | undefined }): Promise<Guard>
  /** A guard, or `null` if another session has the lock. */
  tryAcquire(options?: { timeout?: number | undefined }): Promise<Guard | null>
}

export interface RequestOptions {
  mode?: Mode | undefined
  /** How many may hold the lock together: see {@link AcquireOptions}. */
  limit?: number | undefined
  ifAvailable?: boolean | undefined
  steal?: boolean | undefined
  signal?: AbortSignal | undefined
  timeout?: number | undefined
  ask?: Json | undefined
  grace?: number | undefined
  /** How long the lock may be held in total, in ms. Default: that of `createLocks`. */
  maxHold?: number | undefined
  /** Waits only if no request waits yet, in this session or another; otherwise the callback gets `null`. */
  ifNoQueue?: boolean | undefined
  onReleaseRequested?: ReleaseListener | undefined
}

export interface SweepOptions {
  /** Only records of locks that were not granted or released for this long, in ms. Default 0. */
  olderThan?: number | undefined
}

/** A held or requested lock as `query()` shows it: what Web Locks show, and more from the record. */
export interface LockInfo {
  readonly name: string
  readonly mode: Mode
  /** How many requests may hold it together, if more than one may. */
  readonly limit?: number | undefined
  readonly clientId: string
  readonly session: string
  readonly label?: string | undefined
  readonly metadata?: Json | undefined
}

export interface HeldInfo extends LockInfo {
  readonly token: number
  /** Wall time in ms when it was granted, for display. `undefined` if storelock 0.1 granted it. */
  readonly since?: number | undefined
  /** Wall time in ms when it ends unless it is renewed. */
  readonly expiresAt: number
  /** How long it lasts from a renewal on, in ms: it was last renewed at `expiresAt - lease`. */
  readonly lease: number
}

export interface PendingInfo extends LockInfo {
  /** The value that it asks the holders with. */
  readonly ask?: Json | undefined
}

export interface LocksSnapshot {
  readonly held: HeldInfo[]
  readonly pending: PendingInfo[]
}

/** What `createLocks` of `storelock/core` returns: the methods that most programs need. The others are functions there. */
export type CoreLocks = Pick<Locks, 'session' | 'request' | 'acquire' | 'tryAcquire' | 'close'>

/** One context's view of the locks in a store. */
export interface Locks {
  /** The id of this context's session. It changes whenever the session ends: when its page is left, or when another session ends it. */
  readonly session: string
  /** Web Locks shape: holds the lock while `callback` runs. */
  request<T>(name: string, callback: (lock: HeldLock) => T): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: RequestOptions & { ifAvailable?: false | undefined; ifNoQueue?: false | undefined },
    callback: (lock: HeldLock) => T,
  ): Promise<Awaited<T>>
  request<T>(name: string, options: RequestOptions, callback: (lock: HeldLock | null) => T): Promise<Awaited<T>>
  /** The holders and waiters of one name or of all, in the order of their grants and of the queue. */
  query(name?: string): Promise<LocksSnapshot>
  /** Handle shape: waits for the lock. */
  acquire(name: string, options?: AcquireOptions): Promise<HeldLock>
  /** Takes the lock if it is free, else `null`. */
  tryAcquire(name: string, options?: TryOptions): Promise<HeldLock | null>
  /** Re-entrant shape: one lease for all users in this process. The same name gives the same lock. */
  reentrant(name: string, options?: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'>): ReentrantLock
  /** Resolves when nobody holds the lock, at once if nobody does. */
  whenFree(name: string, options?: { signal?: AbortSignal | undefined }): Promise<void>
  /** Evicts holders that have been silent for their lease. Rejects with `held` if one is alive or pinned, `not-held` if there is none. */
  expire(name: string): Promise<void>
  /** Takes the lock from `session`, or from all holders. Nothing to take is fine; another session's lock is refused with `not-owner`. */
  revoke(name: string, session?: string): Promise<void>
  /** Protects the holder, present or future, from eviction for silence until every entity has unpinned it. */
  pin(name: string, entity: string): Promise<void>
  unpin(name: string, entity: string): Promise<void>
  /**
   * Drops the records of this namespace's locks that nobody holds, waits for or pins, and resolves with their number. Their tokens are still never
   * repeated, but a lock counts as `dirty` at its next grant. A lock server allows it only to an admin client.
   */
  sweep(options?: SweepOptions): Promise<number>
  /**
   * Ends the session: cancels its waits and releases everything. Never rejects; called again, it waits for the first call. If the store does not
   * answer, it resolves after a lease, when everything held has ended by itself.
   */
  close(): Promise<void>
}
