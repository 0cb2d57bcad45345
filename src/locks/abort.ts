interface Waiting {
  readonly runs: Set<() => void>
  stop(): void
}

/** The callbacks that wait for each signal. There is one listener per signal, since Node reports more than ten as a leak. */
const waiting = new WeakMap<AbortSignal, Waiting>()

/**
 * Calls `run` when a signal aborts. A signal that has already aborted does not abort again. An `abort` event that a script dispatched does not count.
 * @returns how to stop waiting for it
 */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (!signal) return () => {}
  const { runs, stop } = waiting.get(signal) ?? listenTo(signal)
  // A new function for each call, since the same one may be passed twice.
  const own = (): void => run()
  runs.add(own)
  return () => {
    if (runs.delete(own) && !runs.size) stop()
  }
}

function listenTo(signal: AbortSignal): Waiting {
  const runs = new Set<() => void>()
  const aborted = (): void => {
    if (!signal.aborted) return
    stop()
    for (const run of runs) run()
  }
  const stop = (): void => {
    waiting.delete(signal)
    signal.removeEventListener('abort', aborted)
  }
  const made: Waiting = { runs, stop }
  waiting.set(signal, made)
  signal.addEventListener('abort', aborted)
  return made
}

const readAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get

/** Asks the engine, since a signal of another frame is not an instance of this frame's class. @throws TypeError if it is not an `AbortSignal` */
export const abortSignal = (value: unknown): AbortSignal => {
  try {
    readAborted?.call(value)
    return value as AbortSignal
  } catch (cause) {
    throw new TypeError('signal must be an AbortSignal', { cause })
  }
}
