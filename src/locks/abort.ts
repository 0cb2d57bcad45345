interface Waiting {
  readonly runs: Set<() => void>
  stop(): void
}

/** What waits for each signal. However many do, the signal has one listener: Node takes more than ten for a leak. */
const waiting = new WeakMap<AbortSignal, Waiting>()

/**
 * Calls `run` when a signal aborts; one that has aborted already does not abort again. An `abort` event that a script dispatched is no abort.
 * @returns how to stop waiting for it
 */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (!signal) return () => {}
  const { runs, stop } = waiting.get(signal) ?? listenTo(signal)
  // The same function may be given twice.
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
