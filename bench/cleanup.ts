/**
 * Calls `undo`, which must be synchronous, when this process exits, in reverse order of registration.
 * @returns a function that calls it now instead
 */
export function atExit(undo: () => void): () => void {
  process.prependOnceListener('exit', undo)
  return () => {
    process.off('exit', undo)
    undo()
  }
}

/** Exits, with cleanup, when this process gets a signal to end or its parent is gone. */
export function endWhenTold(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
  process.once('disconnect', () => process.exit())
}
