import { LockError } from './errors.ts'

/** Shortest and longest duration that any lock may ask for, in ms. A policy may narrow this, never widen it. */
export const minDuration = 100
export const maxDuration = 86_400_000

/** What a namespace allows. What breaks it is rejected with `invalid`, never bent to fit. */
export interface Policy {
  /** Says why a name is not allowed, or nothing. */
  checkKey?(name: string): string | undefined
  /** Says why a holder, by its label, is not allowed, or nothing. */
  checkHolder?(label: string | undefined): string | undefined
  /** In ms. */
  readonly minDuration?: number
  /** In ms. */
  readonly maxDuration?: number
}

/** @throws LockError `invalid` with the policy's own reason */
export function checkName(policy: Policy, name: string, label: string | undefined): void {
  const reason = policy.checkKey?.(name) ?? policy.checkHolder?.(label)
  if (reason !== undefined) throw new LockError('invalid', `the policy refuses ${JSON.stringify(name)}: ${reason}`)
}

/** @throws RangeError if it is no duration at all; LockError `invalid` if the policy forbids it */
export function checkDuration(policy: Policy, duration: number): void {
  if (typeof duration !== 'number' || !(duration >= minDuration && duration <= maxDuration)) {
    throw new RangeError(`a duration is a number of milliseconds from ${minDuration} to ${maxDuration}, not ${String(duration)}`)
  }
  const { minDuration: least = minDuration, maxDuration: most = maxDuration } = policy
  if (duration < least || duration > most) {
    throw new LockError('invalid', `the policy allows durations from ${least} to ${most} ms, not ${duration}`)
  }
}
