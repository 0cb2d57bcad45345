import { LockError } from './errors.ts'

/** In the year 2255: later tokens are no whole numbers any more. So is what counts microseconds today. */
const latest = 9e12

/**
 * A store's wall clock, which a user may have given it.
 * @throws LockError `invalid` from it rather than answer what is no time: that would spoil the tokens and times of every record it meets
 */
export function wallClock(now: () => number): () => number {
  return () => {
    const time = now()
    if (Number.isFinite(time) && time < latest) return time
    throw new LockError('invalid', `the \`now\` of a store must answer milliseconds since 1970, not ${String(time)}`)
  }
}
