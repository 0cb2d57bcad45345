import type { Outcome, Renew } from './commands.ts'
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
  /**
   * A store's word that a transaction of its own has checked this lock: nobody else can be granted it before that transaction has ended,
   * so it does not run out meanwhile. Without it, it may.
   * @param alone whether nothing runs here meanwhile but the body of the transaction, so that the lock is held for certain until it ends
   */
  checked?(alone: boolean): Checked
}

/** A transaction that has checked a lock, and what the two have to say to each other at its end. */
export interface Checked {
  /** What the transaction is to write last, before it is committed, so that the lock outlasts it; `undefined` if that has time. */
  renewal(): Renew | undefined
  /**
   * The transaction has ended, and with it the protection.
   * @param renewed what came of the renewal, once that is committed
   * @returns resolves when it is known whether the lock is still held, and the event loop had its turn; `undefined` if both are so already
   */
  over(renewed?: Outcome): Promise<void> | undefined
}

/** Whether a record still names the very grant of this token. It is void all the same if its session has ended. */
export const names = ({ holders }: LockRecord, { session, token }: Fenced): boolean =>
  holders.some((holder) => holder.token <= token && token <= lastTokenOf(holder) && holder.session === session)

/** Why a fenced write was refused although its writer believed that it held the lock. */
export const fencedOut = ({ name, token }: Fenced): LockError =>
  new LockError('lost', `lost ${JSON.stringify(name)}: the store does not name token ${token} as its holder any more, so nothing was written`)

/** The body of a user's transaction, which tells what it threw itself, to be handed on as it is, from what the engine did. */
export interface Body<Tx, T> {
  run(tx: Tx): T
  /** Whether the body threw this, or rejected with it. */
  threw(error: unknown): boolean
}

export function bodyOf<Tx, T>(body: (tx: Tx) => T): Body<Tx, T> {
  const thrown = new Set<unknown>()
  const note = (error: unknown): never => {
    thrown.add(error)
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
    threw: (error) => thrown.has(error),
  }
}

/** @throws TypeError if the body of a transaction that has to be one synchronous step was not */
export function assertStep(result: unknown): void {
  if (isPromise(result))
    throw new TypeError('the body of a fenced transaction must be synchronous here, but it returned a promise: do what takes time before or after it')
}

const isPromise = (result: unknown): result is PromiseLike<unknown> => typeof (result as PromiseLike<unknown> | undefined)?.then === 'function'
