import { setTimeout as sleep } from 'node:timers/promises'
import { codeOfSignal, Exit } from './exit.ts'

/**
 * Does something until it is done or a signal comes, one of `signals`. What it does is then called off, and has cleaned up when this rejects.
 * @throws Exit with the signal's code
 */
export async function untilSignal<T>(
  use: (signal: AbortSignal) => Promise<T>,
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'],
): Promise<T> {
  const stop = new AbortController()
  const interrupted = (signal: NodeJS.Signals): void => stop.abort(new Exit(codeOfSignal(signal)))
  for (const signal of signals) process.once(signal, interrupted)
  try {
    return await use(stop.signal)
  } catch (error) {
    // What was called off may call it by names of its own.
    throw stop.signal.aborted ? stop.signal.reason : error
  } finally {
    for (const signal of signals) process.off(signal, interrupted)
  }
}

/** For what cannot be called off: its result, unless the signal aborts first. Then it is left alone, and ends with its locks. */
export async function unlessAborted<T>(signal: AbortSignal, result: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  result.catch(() => {})
  return await Promise.race([result, new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))])
}

/** For what need not be waited for any longer than so many ms. Rejects if it fails before. @returns whether it was done in that time */
export async function atMost(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController()
  // What fails later is nobody's any more.
  work.catch(() => {})
  try {
    return await Promise.race([work.then(() => true), sleep(ms, false, { signal: late.signal })])
  } finally {
    late.abort()
  }
}
