import { LockError } from './errors.ts'

/**
 * A store's wall clock, which a user may have given it.
 * @throws LockError `invalid` from it rather than answer what is no time: that would spoil the tokens and times of every record it meets
 */
export function wallClock(now: () => number): () => number {
  return () => {
    const time = now()
    if (Number.isFinite(time)) return time
    throw new LockError('invalid', `the \`now\` of a store must answer a finite number of milliseconds since 1970, not ${String(time)}`)
  }
}
