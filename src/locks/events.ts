import type { LockError, LossReason, Mode } from '../protocol/index.ts'

/**
 * Something that a session did or noticed. `key` is the lock's key in the store (`HeldLock.key`): its name, unless the locks have a namespace.
 * `session` is the one that the event is about: in `granted` with `own` false it is another session, and in `evicted` it may be.
 */
export type LockEvent =
  /** A request is sent to the store. It is sent again if the store dropped it or its page was away: `before` is then the number that it had. */
  | {
      readonly type: 'asked'
      readonly key: string
      readonly session: string
      readonly number: number
      readonly before: number | undefined
      readonly mode: Mode
    }
  /** A request has ended without the lock: it was cancelled, timed out or failed, or its caller did not want to wait. */
  | { readonly type: 'withdrawn'; readonly key: string; readonly session: string; readonly number: number }
  /**
   * The lock was granted. `own`: to this session; a release or an eviction by this session may grant it to another one. `confirmed`: the store knows
   * that the new holder knows of the grant. `lingered`: the session still had the lock from its last use.
   */
  | {
      readonly type: 'granted'
      readonly key: string
      readonly session: string
      readonly number: number
      readonly token: number
      readonly own: boolean
      readonly confirmed: boolean
      readonly lingered: boolean
    }
  /** The store has confirmed a grant that was already in use. */
  | { readonly type: 'confirmed'; readonly key: string; readonly session: string; readonly token: number }
  /** The locks of these keys were renewed: all at once by a heartbeat, or one that has a lease of its own. */
  | { readonly type: 'renewed'; readonly keys: readonly string[]; readonly session: string }
  | { readonly type: 'lost'; readonly key: string; readonly session: string; readonly token: number; readonly reason: LossReason }
  /** The lock was released, or its lingering lease was. `lingers`: it stays with this session for a while, and the store is not told. */
  | { readonly type: 'released'; readonly key: string; readonly session: string; readonly token: number; readonly lingers: boolean }
  /** A command of this session took the lock from another session, or from this one. */
  | { readonly type: 'evicted'; readonly key: string; readonly session: string; readonly token: number; readonly reason: LossReason }
  /** A hint arrived from another session: of a grant if it has a token, else of a change to the record. */
  | { readonly type: 'hinted'; readonly key: string; readonly session: string; readonly token: number | undefined }
  /** The record was read: how many hold the lock and wait for it. */
  | { readonly type: 'looked'; readonly key: string; readonly session: string; readonly holders: number; readonly waiting: number }

/** An early warning; the locks in `names` are still held. */
export interface LockWarning {
  /**
   * `renewal`: renewals fail, and the locks are lost at `deadline` unless one succeeds. `release`: a release failed, and is retried until it succeeds
   * or the lease has ended. `degraded`: the store has no hints or no proofs of death here, perhaps temporarily, so waiting is slower, or a hidden
   * page cannot keep its heartbeats on time; `names` is empty. `deadlock`: this session waits for a lock that it holds itself.
   */
  readonly type: 'renewal' | 'release' | 'degraded' | 'deadlock'
  readonly names: readonly string[]
  readonly error: LockError
  /** When the first of these locks is lost, on the monotonic clock, in ms. */
  readonly deadline?: number | undefined
}
