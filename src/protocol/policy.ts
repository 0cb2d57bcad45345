import { LockError } from './errors.ts'

/** The shortest and longest duration of any lock, in ms. A policy can narrow this range, not widen it. */
export const minDuration = 100
export const maxDuration = 86_400_000

/** What a namespace allows. Everything else is rejected with `invalid`, never adjusted. */
export interface Policy {
  /** Returns why a name is not allowed, or nothing. */
  checkKey?(name: string): string | undefined
  /** Returns why a holder with this label is not allowed, or nothing. */
  checkHolder?(label: string | undefined): string | undefined
  /** In ms. */
  readonly minDuration?: number | undefined
  /** In ms. */
  readonly maxDuration?: number | undefined
}

/** @throws LockError `invalid` with the policy's own reason */
export function checkName(policy: Policy, name: string, label: string | undefined): void {
  const reason = policy.checkKey?.(name) ?? policy.checkHolder?.(label)
  if (reason !== undefined) throw new LockError('invalid', `the policy refuses ${JSON.stringify(name)}: ${reason}`)
}

/** @throws RangeError if it is not a duration at all; LockError `invalid` if the policy forbids it */
export function checkDuration(policy: Policy, duration: number): void {
  if (typeof duration !== 'number' || !(duration >= minDuration && duration <= maxDuration)) {
    throw new RangeError(`a duration is a number of milliseconds from ${minDuration} to ${maxDuration}, not ${String(duration)}`)
  }
  const { minDuration: least = minDuration, maxDuration: most = maxDuration } = policy
  if (duration < least || duration > most) {
    throw new LockError('invalid', `the policy allows durations from ${least} to ${most} ms, not ${duration}`)
  }
}
