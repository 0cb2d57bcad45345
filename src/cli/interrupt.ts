import { Killed } from './exit.ts'
import { sleep } from './sleep.ts'

/**
 * Runs something until it is done or one of `signals` arrives. Then it is cancelled, and has cleaned up when this rejects.
 * @throws Killed
 */
export async function untilSignal<T>(
  use: (signal: AbortSignal) => Promise<T>,
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'],
): Promise<T> {
  const stop = new AbortController()
  const interrupted = (signal: NodeJS.Signals): void => stop.abort(new Killed(signal))
  for (const signal of signals) process.once(signal, interrupted)
  try {
    return await use(stop.signal)
  } catch (error) {
    // The cancelled code may reject with an error of its own.
    throw stop.signal.aborted ? stop.signal.reason : error
  } finally {
    for (const signal of signals) process.off(signal, interrupted)
  }
}

/** For work that cannot be cancelled: its result, unless the signal aborts first. Then the work is abandoned, and ends with its locks. */
export async function unlessAborted<T>(signal: AbortSignal, result: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  result.catch(() => {})
  return await Promise.race([result, new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))])
}

/** Waits for work no longer than this many ms. Rejects if it fails before. @returns whether it was done in that time */
export async function atMost(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController()
  // Nobody handles later errors.
  work.catch(() => {})
  try {
    const timeUp = sleep(ms, late.signal).then(() => false)
    timeUp.catch(() => {})
    return await Promise.race([work.then(() => true), timeUp])
  } finally {
    late.abort()
  }
}
