import type { Holder, LossReason } from './record.ts'

/**
 * What went wrong. Codes are stable across versions; the message may change.
 *
 * - `held`: the lock is held or waited for, and the caller did not want to wait.
 * - `timeout`: the lock was not granted within the caller's `timeout`.
 * - `lost`: the lock was held and has been lost; the caller must stop.
 * - `not-held`: the lock was released, or was never held.
 * - `not-owner`: another session has the lock.
 * - `invalid`: the name, duration or combination of options breaks a rule or a policy.
 * - `corrupt`: a record cannot be read; nothing was overwritten.
 * - `closed`: the locks or their store were closed.
 * - `store`: the store failed; `cause` is its own error.
 * - `deadlock`: the caller's own session holds the lock, and has kept this request waiting for a whole `duration`.
 */
export type LockErrorCode = 'held' | 'timeout' | 'lost' | 'not-held' | 'not-owner' | 'invalid' | 'corrupt' | 'closed' | 'store' | 'deadlock'

/**
 * Who holds a lock that could not be acquired: the caller's own `session`, another session in the same page, worker or process (`process`), or a
 * session elsewhere (`other`).
 */
export type HeldBy = 'session' | 'process' | 'other'

export interface LockErrorOptions extends ErrorOptions {
  holders?: readonly Holder[] | undefined
  reason?: LossReason | undefined
  heldBy?: HeldBy | undefined
}

/** Every error of this library, except programming mistakes (`TypeError`, `RangeError`) and a caller's own abort reason. */
export class LockError extends Error {
  override readonly name = 'LockError'
  readonly code: LockErrorCode
  /** Who held the lock when the call was refused, if that is known. */
  readonly holders: readonly Holder[] | undefined
  /** How a lock was `lost`. `undefined` if that is not known, or not yet. */
  readonly reason: LossReason | undefined
  /** Who held the lock when it was last seen, if it could not be acquired. With several shared holders, the nearest. */
  readonly heldBy: HeldBy | undefined

  constructor(code: LockErrorCode, message: string, options: LockErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.holders = options.holders
    this.reason = options.reason
    this.heldBy = options.heldBy
  }
}

/** Wraps an error of the store's engine in a `store` error; an error of ours is returned as it is. */
export const storeError = (error: unknown, doing: string): LockError =>
  error instanceof LockError ? error : new LockError('store', `${doing}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
