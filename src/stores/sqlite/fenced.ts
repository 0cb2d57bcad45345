import { assertStep, bodyOf, type Checked, type Command, type Fenced, LockError, type Outcome } from '../../protocol/index.ts'
import { isBusy, type SqliteDatabase } from './driver.ts'
import { inTransaction } from './fence.ts'
import { whenIdle } from './idle.ts'
import type { Within } from './transaction.ts'

/** What a fenced transaction needs from its store. */
export interface Ground {
  /** The user's handle, or the store's for a path. */
  readonly tx: SqliteDatabase
  readonly within: Within
  /** Throws if it is known already that nothing may be written. */
  assertMay(): void
  /** Throws unless the record names the lock, as the open transaction sees it. */
  assertNamed(): void
  /** Carries out a command in the open transaction. */
  applyWithin(command: Command): Outcome | undefined
  /** Wraps an error that is not the body's own. */
  explain(error: unknown): unknown
}

/** Runs a body in a transaction that is committed only if the lock is held, and that renews the lock if heartbeats could not. */
export function runFenced<T>(
  { tx, within, assertMay, assertNamed, applyWithin, explain }: Ground,
  lock: Fenced,
  body: (tx: SqliteDatabase) => T,
): Promise<Awaited<T>> {
  if (inTransaction(tx)) throw new LockError('invalid', 'this connection is in a transaction already: use check() inside it instead')
  let begun = false
  const theirs = bodyOf((handle: SqliteDatabase) => {
    const result = body(handle)
    assertStep(result)
    return result
  })
  let checked: Checked | undefined
  let renewed: Outcome | undefined
  const step = (): T => {
    assertMay()
    return within('write', () => {
      begun = true
      assertNamed()
      checked = lock.checked?.(true)
      const result = theirs.run(tx)
      const renewal = checked?.renewal()
      if (renewal) renewed = applyWithin(renewal)
      return result
    })
  }
  // Only the beginning is retried, because the body may have done more than write.
  return new Promise<Awaited<T>>((resolve, reject) => {
    whenIdle(
      step,
      (result) => {
        // This comes before any timer, because a timer would find the lock expired.
        const wait = checked?.over(renewed)
        const done = (): void => resolve(result as Awaited<T>)
        if (wait) wait.then(done)
        else done()
      },
      (error) => {
        checked?.over()
        reject(theirs.threw(error) ? error : explain(error))
      },
      { mayPass: (error) => !begun && isBusy(error), isUrgent: () => true },
    )
  })
}
