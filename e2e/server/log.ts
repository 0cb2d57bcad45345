import type { LogReply } from '../../src/server/wire.ts'

/** All entries of a server's log, newest first. */
export async function logOf(url: string): Promise<LogReply['entries']> {
  const entries: LogReply['entries'][number][] = []
  for (;;) {
    const before = entries.at(-1)?.id
    const page = (await (await fetch(`${url}/v1/log?limit=1000${before === undefined ? '' : `&before=${before}`}`)).json()) as LogReply
    entries.push(...page.entries)
    if (page.entries.length < 1_000) return entries
  }
}
