import { LockError } from './errors.ts'
import { type LockRecord, lastTokenOf } from './record.ts'

/** A lock as the fence sees it: a `HeldLock`, or a `Guard` of a re-entrant one. */
export interface Fenced {
  readonly name: string
  /** The key of its record. */
  readonly key: string
  readonly session: string
  readonly token: number
  /** @throws LockError `lost` or `not-held` unless its own context believes that it is held */
  assertHeld(): void
}

/** Whether a record still names the very grant of this token. It is void all the same if its session has ended. */
export const names = ({ holders }: LockRecord, { session, token }: Fenced): boolean =>
  holders.some((holder) => holder.token <= token && token <= lastTokenOf(holder) && holder.session === session)

/** Why a fenced write was refused although its writer believed that it held the lock. */
export const fencedOut = ({ name, token }: Fenced): LockError =>
  new LockError('lost', `lost ${JSON.stringify(name)}: the store does not name token ${token} as its holder any more, so nothing was written`)

/** @throws TypeError if the body of a transaction that has to be one synchronous step was not */
export function assertStep(result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function')
    throw new TypeError('the body of a fenced transaction must be synchronous here, but it returned a promise: do what takes time before or after it')
}
