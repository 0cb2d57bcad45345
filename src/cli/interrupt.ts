import { codeOfSignal, Exit } from './exit.ts'

/**
 * Does something until it is done or a signal comes. What it does is then called off, and has cleaned up when this rejects.
 * @throws Exit with the signal's code
 */
export async function untilSignal<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
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
