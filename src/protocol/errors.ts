import type { Holder, LossReason } from './record.ts'

/**
 * What went wrong, stable across versions; the message is free to change.
 *
 * - `held`: someone else has the lock, and the caller did not want to wait.
 * - `timeout`: the lock was not granted within the caller's `timeout`.
 * - `lost`: the lock was held and is not any more; who lost it must stop.
 * - `not-held`: the lock was released, or never held.
 * - `not-owner`: the lock is another session's.
 * - `invalid`: the name, duration or combination of options breaks a rule or a policy.
 * - `corrupt`: a record cannot be read; nothing was overwritten.
 * - `closed`: the locks or their store were closed.
 * - `store`: the store failed; `cause` is its own error.
 * - `deadlock`: the caller's own session holds the lock, and has kept this request waiting for a whole `duration`.
 */
export type LockErrorCode = 'held' | 'timeout' | 'lost' | 'not-held' | 'not-owner' | 'invalid' | 'corrupt' | 'closed' | 'store' | 'deadlock'

/**
 * Who holds a lock that was not to be had, as far as the caller's context knows: its own `session`, another one of its own realm (`process`:
 * the same page, worker or process), or somebody else.
 */
export type HeldBy = 'session' | 'process' | 'other'

export interface LockErrorOptions extends ErrorOptions {
  holders?: readonly Holder[] | undefined
  reason?: LossReason | undefined
  heldBy?: HeldBy | undefined
}

/** Every error of this library that is not a programmer's mistake or a caller's own abort reason. */
export class LockError extends Error {
  override readonly name = 'LockError'
  readonly code: LockErrorCode
  /** Who held the lock when the call was refused, where that is known. */
  readonly holders: readonly Holder[] | undefined
  /** Of a lock that was `lost`: how. `undefined` where that is not known, or not yet. */
  readonly reason: LossReason | undefined
  /** Of a lock that was not to be had: whose it was when last seen. Of several shared holders the nearest. */
  readonly heldBy: HeldBy | undefined

  constructor(code: LockErrorCode, message: string, options: LockErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.holders = options.holders
    this.reason = options.reason
    this.heldBy = options.heldBy
  }
}

/** An error of the store's engine as a `store` error that carries it, or the error itself if it is ours already. */
export const storeError = (error: unknown, doing: string): LockError =>
  error instanceof LockError ? error : new LockError('store', `${doing}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
