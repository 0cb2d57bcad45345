import { systemClock } from '../locks/clock.ts'

/** Waits for this many ms, which may be longer than one of Node's timers can measure. Rejects with the signal's reason once it aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = (): void => {
      callOff()
      reject(signal?.reason)
    }
    const callOff = systemClock.after(ms, () => {
      signal?.removeEventListener('abort', stop)
      resolve()
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}
