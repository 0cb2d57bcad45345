import { LockError } from './errors.ts'

/** In the year 2255. Later times, or a clock that returns microseconds today, would make tokens exceed the safe integers. */
const latest = 9e12

/**
 * A store's wall clock, which a user may have supplied.
 * @throws LockError `invalid` if it returns something that is not a time: that would spoil the tokens and times of every record
 */
export function wallClock(now: () => number): () => number {
  return () => {
    const time = now()
    if (Number.isFinite(time) && time < latest) return time
    throw new LockError('invalid', `the \`now\` of a store must answer milliseconds since 1970, not ${String(time)}`)
  }
}
