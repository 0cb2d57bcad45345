import type { LockError, LossReason, Mode } from '../protocol/index.ts'

/**
 * Something that a session did or noticed. `key` is the lock's key in the store (`HeldLock.key`): its name, unless the locks have a namespace.
 * `session` is the one that it is about: in `evicted`, and in `granted` where `own` is false, another one.
 */
export type LockEvent =
  /** A request goes to the store. If it was dropped there, or its page was away, it is sent again: `before` is the number that it had before. */
  | {
      readonly type: 'asked'
      readonly key: string
      readonly session: string
      readonly number: number
      readonly before: number | undefined
      readonly mode: Mode
    }
  /** A wait has ended without the lock: it was called off, timed out or failed, or was not to wait. */
  | { readonly type: 'withdrawn'; readonly key: string; readonly session: string; readonly number: number }
  /**
   * The lock was granted. `own`: to this session; a release or an eviction of this session's may grant it to another. `confirmed`: the store has heard
   * that this session knows of it. `lingered`: it was still here from its last use.
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
  /** The store has confirmed a grant that was used before. */
  | { readonly type: 'confirmed'; readonly key: string; readonly session: string; readonly token: number }
  /** The locks of these keys were renewed: all at once by a heartbeat, or one that has a lease of its own. */
  | { readonly type: 'renewed'; readonly keys: readonly string[]; readonly session: string }
  | { readonly type: 'lost'; readonly key: string; readonly session: string; readonly token: number; readonly reason: LossReason }
  /** The lock was released, or a lingering one given back. `lingers`: it stays with this session for a while, and the store is not told. */
  | { readonly type: 'released'; readonly key: string; readonly session: string; readonly token: number; readonly lingers: boolean }
  /** A command of this session's took the lock from another one, or from this one. */
  | { readonly type: 'evicted'; readonly key: string; readonly session: string; readonly token: number; readonly reason: LossReason }
  /** A hint of another session came: of a grant if it has a token, else of a change to the record. */
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
  /** When the first of them is lost, on the clock's monotonic time, in ms. */
  readonly deadline?: number | undefined
}
