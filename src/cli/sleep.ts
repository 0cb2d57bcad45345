import { systemClock } from '../locks/clock.ts'

/** Waits, for longer than one of Node's timers can measure, too. Rejects with the reason of the signal once it aborts. */
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
