import type { Fenced, Json, LockError, Mode, Policy } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Clock } from './clock.ts'

export interface LocksOptions {
  store: Store
  /** How long a holder may go unheard before the lock is lost, in ms. Renewed every tenth of it. Default 10,000. */
  duration?: number
  /** The longest pause between two looks of a waiter, in ms. Default 1,000. */
  maxBackoff?: number
  /**
   * How long a lock stays with this session after its last release while nobody else wants it, in ms: taking it again then touches no
   * store, and it is handed over at once when anyone asks. Only plain exclusive locks, and only where the store has a channel. Default 0.
   */
  linger?: number
  /**
   * How long a lock may be held at all, in ms, however often it is renewed: at its end it is lost (`expired`) and let go of. For jobs that hang
   * while their heartbeats go on. Without it, as long as it is renewed.
   */
  maxHold?: number
  /**
   * What happens when a lock that this session holds has kept a request of its own waiting for a whole `duration`, as a request within its own
   * callback does: `warn` calls `onWarning` once for each name, `reject` also rejects the request with `deadlock`. Default `warn`.
   */
  deadlock?: 'warn' | 'reject'
  /** Shown to people who ask who holds a lock. Need not be unique: it identifies nobody. */
  label?: string
  /** Keeps these locks apart from those of every other namespace in the store. */
  namespace?: string
  /** What this namespace allows. */
  policy?: Policy
  /** Whether waiters may evict a holder that has been silent for its lease. With `manual` only `expire()` does. Default `auto`. */
  expiry?: 'auto' | 'manual'
  /** Called when something goes wrong that no promise can tell, such as renewals that start to fail. */
  onWarning?: (warning: LockWarning) => void
  clock?: Clock
}

/** An early warning; the locks named are still held. */
export interface LockWarning {
  /**
   * `renewal`: renewals fail, and the locks are lost at `deadline` unless one succeeds. `release`: a release failed, and is
   * retried until it succeeds or the lock's lease is over. `degraded`: the store has no hints or no proofs of death here, or none for now, so
   * waiting is slower, or a hidden page cannot keep its heartbeats in time; `names` is empty. `deadlock`: this session waits for what it
   * holds itself.
   */
  readonly type: 'renewal' | 'release' | 'degraded' | 'deadlock'
  readonly names: readonly string[]
  readonly error: LockError
  /** On the clock's monotonic time, in ms: when the first of them is lost. */
  readonly deadline?: number
}

export interface AcquireOptions {
  mode?: Mode
  /** How long to wait, in ms; 0 does not wait and fails with `held`. Without it, for ever. */
  timeout?: number
  /** Calls the wait off; the call then rejects with the signal's reason. */
  signal?: AbortSignal
  /** In ms, instead of that of `createLocks`. */
  duration?: number
  /** How long the lock may be held at all, in ms, instead of that of `createLocks`. */
  maxHold?: number
  /** Waits only if nobody waits yet, in this session or another; else the call fails with `held`. */
  ifNoQueue?: boolean
  /** `manual`: the lease lasts `duration` unless your code calls `renew()`, or somebody pins the lock. Default `auto`. */
  renew?: 'auto' | 'manual'
  /** Takes the lock from its holders, ahead of the queue. */
  steal?: boolean
  /** Stored beside the lock, for others to read. */
  metadata?: Json
  /** Asks the present holders to let go, with this for them to read, also if this request gives up at once. They decide. */
  ask?: Json
  /** With `ask` and `steal`: how long the holders may take to let go before the lock is stolen, in ms. */
  grace?: number
  /**
   * Called when somebody asks for this lock while it is held: a wish, not a loss. At once where the store has a channel, else with the
   * next renewal: a tenth of the duration later at most, unless your code alone renews.
   */
  onReleaseRequested?: ReleaseListener
}

/** Hears what another session that asks for the lock has to say, and who that is. */
export type ReleaseListener = (ask: Json, who: LockInfo) => unknown

export interface TryOptions extends Omit<AcquireOptions, 'signal' | 'ask' | 'grace' | 'ifNoQueue'> {
  /**
   * How long a call may observe a holder that looks dead, in ms. Default: as long as its lease takes; 0 never.
   * A holder that looks alive is never waited for.
   */
  timeout?: number
}

/** A lock that is, or was, held. */
export interface HeldLock extends Fenced, AsyncDisposable {
  readonly name: string
  /** The key of its record in the store: the name itself, unless it is of a namespace or has characters that stores refuse. */
  readonly key: string
  readonly mode: Mode
  /** The fencing token: higher than that of every grant of this name before. Pass it to whatever the lock protects. */
  readonly token: number
  /**
   * The token of the grant before this one, whoever had it; 0 if there was none. What was cached under an older token than
   * this may be stale: `if (cache.token < lock.previous) cache = await load()`.
   */
  readonly previous: number
  /** Whether someone else had the lock since these locks last did, or ever before their first, or it is not known any more, after thousands of other names: what was cached may be stale. */
  readonly dirty: boolean
  /** The session that holds it. */
  readonly session: string
  /** Aborts when the lock is lost (reason: a `LockError` `lost`) or released (`not-held`). */
  readonly signal: AbortSignal
  /** Exact whenever your code runs. What is lost stays lost. */
  isHeld(): boolean
  /** @throws LockError `lost` or `not-held` unless the lock is held */
  assertHeld(): void
  /** Renews now, and if told so makes the lease at least `duration` ms from now on. Rejects with `lost` or `not-held`. */
  renew(duration?: number): Promise<void>
  /**
   * Lets go, once. Harmless if the lock is lost or released. Resolves when the store has let go of it, though that took several tries.
   * Rejects only if it cannot any more, since the store failed or hung for a lease or was closed: the lock then ends with its lease. Who does not
   * wait for it hears of a failure by `onWarning`; it is no unhandled rejection.
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
  /** Gives the share back; the last one releases the lock, as {@link HeldLock.release} does. Harmless when repeated. */
  release(): Promise<void>
}

/** A lock that this process takes any number of times and gives back with its last user. */
export interface ReentrantLock {
  readonly name: string
  /** Whether someone else has had the lock since it was last clean. Stays so until {@link clearDirty}. */
  readonly dirty: boolean
  clearDirty(): void
  /** Whether it has a user and is held. */
  isHeld(): boolean
  acquire(options?: { timeout?: number; signal?: AbortSignal }): Promise<Guard>
  /** A guard, or `null` if another session has the lock. */
  tryAcquire(options?: { timeout?: number }): Promise<Guard | null>
}

export interface RequestOptions {
  mode?: Mode
  ifAvailable?: boolean
  steal?: boolean
  signal?: AbortSignal
  timeout?: number
  ask?: Json
  grace?: number
  /** How long the lock may be held at all, in ms, instead of that of `createLocks`. */
  maxHold?: number
  /** Waits only if nobody waits yet, in this session or another; else the callback gets `null`. */
  ifNoQueue?: boolean
  onReleaseRequested?: ReleaseListener
}

export interface SweepOptions {
  /** Only records of locks that nobody was granted and nobody let go of for so long, in ms. Default 0. */
  olderThan?: number
}

/** A held or wanted lock as `query()` shows it: what Web Locks tell, and what the record knows. */
export interface LockInfo {
  readonly name: string
  readonly mode: Mode
  readonly clientId: string
  readonly session: string
  readonly label?: string | undefined
  readonly metadata?: Json | undefined
}

export interface HeldInfo extends LockInfo {
  readonly token: number
  /** Wall time in ms: when it was granted, for people to read. `undefined` if storelock 0.1 granted it. */
  readonly since?: number | undefined
  /** Wall time in ms: when it ends unless it is renewed. */
  readonly expiresAt: number
}

export interface LocksSnapshot {
  readonly held: HeldInfo[]
  readonly pending: LockInfo[]
}

/** One context's view of the locks in a store. */
export interface Locks {
  /** This context's present session. A page that was frozen or a session that was given up gets another. */
  readonly session: string
  /** Web Locks shape: holds the lock while `callback` runs. */
  request<T>(name: string, callback: (lock: HeldLock) => T): Promise<Awaited<T>>
  request<T>(name: string, options: RequestOptions & { ifAvailable?: false; ifNoQueue?: false }, callback: (lock: HeldLock) => T): Promise<Awaited<T>>
  request<T>(name: string, options: RequestOptions, callback: (lock: HeldLock | null) => T): Promise<Awaited<T>>
  /** Who holds and who waits, in the order of grant and of the queue; of one name or of all. */
  query(name?: string): Promise<LocksSnapshot>
  /** Handle shape: waits for the lock. */
  acquire(name: string, options?: AcquireOptions): Promise<HeldLock>
  /** Takes the lock if it is free, else `null`. */
  tryAcquire(name: string, options?: TryOptions): Promise<HeldLock | null>
  /** matrix shape: one lease for all of this process's users. The same name gives the same lock. */
  reentrant(name: string, options?: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'>): ReentrantLock
  /** Resolves when nobody holds the lock, at once if nobody does. */
  whenFree(name: string, options?: { signal?: AbortSignal }): Promise<void>
  /** Evicts holders that have been silent for their lease. Rejects with `held` if one is alive or pinned, `not-held` if there is none. */
  expire(name: string): Promise<void>
  /** Takes the lock from `session`, or from all. Nothing to take is fine; another's lock is refused with `not-owner`. */
  revoke(name: string, session?: string): Promise<void>
  /** Keeps the holder, present or future, from being evicted for silence until every entity has unpinned it. */
  pin(name: string, entity: string): Promise<void>
  unpin(name: string, entity: string): Promise<void>
  /**
   * Drops what the store keeps of this namespace's locks that nobody holds, wants or pins. Their tokens are still not given out again, but a
   * lock counts as `dirty` at its next grant. At a lock server it needs the right of an admin.
   * @returns how many records were dropped
   */
  sweep(options?: SweepOptions): Promise<number>
  /**
   * Ends the session: waits are called off and everything is released. Never rejects; called again, it waits for the first call. On a store that
   * does not answer it ends after a lease, when all that was held is over by itself.
   */
  close(): Promise<void>
}
