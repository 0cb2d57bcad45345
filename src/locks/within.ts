import { onAbort } from './abort.ts'
import type { Clock } from './clock.ts'

/**
 * A promise's result, if it comes within `ms` (`undefined`: no limit). Rejects with the signal's reason if `signal` aborts first.
 * @param late what to resolve with, or throw, when the time is over
 */
export function within<T>(clock: Clock, promise: Promise<T>, ms: number | undefined, signal: AbortSignal | undefined, late: () => T): Promise<T> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      callOff?.()
      stopListening()
      settle()
    }
    const callOff = ms === undefined ? undefined : clock.after(ms, () => end(() => resolve(new Promise((done) => done(late())))))
    const stopListening = onAbort(signal, () => end(() => reject(signal?.reason)))
    promise.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}
