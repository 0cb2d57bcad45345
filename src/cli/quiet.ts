/** Keeps Node 22 from calling its SQLite experimental, on stderr, each time: cron would mail that. Other warnings stay. */
export function quietNode(): void {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: [string?, ...unknown[]]) => {
    const [type] = rest
    if (type === 'ExperimentalWarning' && String(warning).startsWith('SQLite ')) return
    ;(emitWarning as (...all: unknown[]) => void).call(process, warning, ...rest)
  }) as typeof emitWarning
}
