/** Suppresses Node 22's warning on stderr that its SQLite is experimental, which cron would mail each time. Other warnings stay. */
export function quietNode(): void {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: [string?, ...unknown[]]) => {
    const [type] = rest
    if (type === 'ExperimentalWarning' && String(warning).startsWith('SQLite ')) return
    ;(emitWarning as (...all: unknown[]) => void).call(process, warning, ...rest)
  }) as typeof emitWarning
}
