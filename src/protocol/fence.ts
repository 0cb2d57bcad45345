import type { Outcome, Renew } from './commands.ts'
import { LockError, storeError } from './errors.ts'
import { type LockRecord, lastTokenOf } from './record.ts'

/** A lock as the fence sees it: a `HeldLock`, or a `Guard` of a re-entrant lock. */
export interface Fenced {
  readonly name: string
  /** The key of its record. */
  readonly key: string
  readonly session: string
  readonly token: number
  /** @throws LockError `lost` or `not-held` unless its own context believes that it is held */
  assertHeld(): void
  /**
   * A store calls this when a transaction of its own has checked this lock. No other session can be granted the lock before that transaction has
   * ended, so the lock does not expire meanwhile.
   * @param alone whether nothing but the transaction's body runs in this context until the transaction ends, so that the lock is certainly held until
   * then
   */
  checked?(alone: boolean): Checked
}

/** A transaction that has checked a lock: how to renew the lock in it, and what to call at its end. */
export interface Checked {
  /** What the transaction has to write last, before it commits, so that the lock outlasts it; `undefined` if no renewal is due. */
  renewal(): Renew | undefined
  /**
   * The transaction has ended, and with it the protection.
   * @param renewed the outcome of the renewal, once that is committed
   * @returns resolves when it is known whether the lock is still held and, if it ran alone, the event loop has turned; `undefined` if there is
   * nothing to wait for
   */
  over(renewed?: Outcome): Promise<void> | undefined
}

/** Whether a record still names the grant with this token. Even then, the grant is void if its session has ended. */
export const names = ({ holders }: LockRecord, { session, token }: Fenced): boolean =>
  holders.some((holder) => holder.token <= token && token <= lastTokenOf(holder) && holder.session === session)

/** Why a fenced write was refused although its writer believed that it held the lock. */
export const fencedOut = ({ name, token }: Fenced): LockError =>
  new LockError('lost', `lost ${JSON.stringify(name)}: the store does not name token ${token} as its holder any more, so nothing was written`)

/** The body of a user's transaction. Distinguishes the body's own errors, which are rethrown unchanged, from the engine's. */
export interface Body<Tx, T> {
  run(tx: Tx): T
  /** Whether the body threw this error, or rejected with it. */
  threw(error: unknown): boolean
}

export function bodyOf<Tx, T>(body: (tx: Tx) => T): Body<Tx, T> {
  let thrown: { readonly error: unknown } | undefined
  const note = (error: unknown): never => {
    thrown = { error }
    throw error
  }
  return {
    run(tx) {
      try {
        const result = body(tx)
        return isPromise(result) ? (result.then(undefined, note) as T) : result
      } catch (error) {
        return note(error)
      }
    },
    threw: (error) => thrown !== undefined && Object.is(thrown.error, error),
  }
}

/** @throws TypeError if the body of a transaction that must be synchronous returned a promise */
export function assertStep(result: unknown): void {
  if (isPromise(result))
    throw new TypeError('the body of a fenced transaction must be synchronous here, but it returned a promise: do what takes time before or after it')
}

const isPromise = (result: unknown): result is PromiseLike<unknown> => typeof (result as PromiseLike<unknown> | undefined)?.then === 'function'

/** A transaction that collects its commands first, and sends them at the end, together with the checks of its locks. */
export interface Queued {
  readonly locks: Set<Fenced>
}

/** Makes a transaction depend on a lock. @throws LockError `lost` or `not-held` unless it is held, as far as its holder knows */
export function depend(tx: Queued, lock: Fenced): void {
  lock.assertHeld()
  tx.locks.add(lock)
}

/**
 * Lets a body build a transaction, and sends it. Rejects with the body's own error, a `LockError`, or the engine's error as a `store` error whose
 * message begins with `title`.
 * @returns the body's result
 */
export async function sendFenced<Tx extends Queued, T>(
  tx: Tx,
  lock: Fenced,
  body: (tx: Tx) => T,
  send: (tx: Tx) => Promise<void>,
  title: string,
): Promise<Awaited<T>> {
  depend(tx, lock)
  const theirs = bodyOf(body)
  try {
    const result = await theirs.run(tx)
    await send(tx)
    return result
  } catch (error) {
    throw theirs.threw(error) ? error : storeError(error, title)
  }
}
