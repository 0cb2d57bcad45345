import { Killed } from './exit.ts'
import { sleep } from './sleep.ts'

/**
 * Runs `use` until it is done or one of `signals` arrives. A signal cancels it; when this rejects, `use` has cleaned up.
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

/** For work that cannot be cancelled: its result, unless the signal aborts first. Then the work is abandoned; it ends when its locks are closed. */
export async function unlessAborted<T>(signal: AbortSignal, result: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  result.catch(() => {})
  return await Promise.race([result, new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))])
}

/** Waits for work for at most this many ms. Rejects if the work fails in that time. @returns whether it was done in that time */
export async function atMost(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController()
  // A later error must not become an unhandled rejection.
  work.catch(() => {})
  try {
    const timeUp = sleep(ms, late.signal).then(() => false)
    timeUp.catch(() => {})
    return await Promise.race([work.then(() => true), timeUp])
  } finally {
    late.abort()
  }
}
