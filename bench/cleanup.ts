/**
 * Has something undone at the end of this process, in one step, should nobody have done so before: what came last, first.
 * @returns undoes it now
 */
export function atExit(undo: () => void): () => void {
  process.prependOnceListener('exit', undo)
  return () => {
    process.off('exit', undo)
    undo()
  }
}

/** Ends this process in order when it is told to end, or when the one that started it is gone. */
export function endWhenTold(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
  process.once('disconnect', () => process.exit())
}
