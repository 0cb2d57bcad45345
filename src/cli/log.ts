import type { LogEntry, LogKind, LogReply } from '../server/wire.ts'
import { makeServers } from '../stores/http/servers.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { colours, type Parts, print, printJson } from './output.ts'
import { isUrl, urlsOf, withoutSecret } from './place.ts'
import { credential, keyOf } from './store.ts'

/** Times in ms. */
export interface LogOptions extends Common {
  readonly kind?: LogKind
  readonly since?: number
  readonly limit: number
}

/** Prints a lock server's log, oldest entry first: in JSON one per line. */
export async function log(key: string | undefined, { store: place, json, kind, since, limit }: LogOptions): Promise<void> {
  if (!isUrl(place)) {
    throw new Exit(
      exitCodes.failed,
      `${withoutSecret(place)} keeps no log: only a lock server does. Name its URL with --store, or use \`storelock watch\``,
    )
  }
  const query = new URLSearchParams({
    ...(key !== undefined && { key: keyOf(key) }),
    ...(kind !== undefined && { kind }),
    ...(since !== undefined && { since: `${Date.now() - since}` }),
    limit: `${limit}`,
  })
  const server = makeServers(urlsOf(place), credential())
  const { entries } = await server.get<LogReply>(`/v1/log?${query}`, ['entries'])
  for (const entry of [...entries].reverse()) {
    if (json) printJson(entry)
    else print(...partsOf(entry))
  }
}

function partsOf({ at, kind, key, session, token, who, address, why }: LogEntry): Parts {
  const about = Object.entries({ token, session, by: who, from: address, why }).filter(([, value]) => value !== undefined)
  const shade = kind === 'refusal' ? colours.red : colours.bold
  const rest = [key, ...about.map(([name, value]) => `${name} ${value}`)].filter(Boolean).map((part) => `  ${part}`)
  return [colours.dim(new Date(at).toISOString()), '  ', shade(kind), ...rest]
}
