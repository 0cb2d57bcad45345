import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { colours, print, printJson } from './output.ts'
import { credentialVariable, isUrl, keyOf } from './store.ts'

/** Times in ms. */
export interface LogOptions extends Common {
  readonly kind?: string
  readonly since?: number
  readonly limit: number
}

/** What a lock server notes of a lock. */
interface Entry {
  readonly at: number
  readonly kind: string
  readonly key: string
  readonly session?: string
  readonly token?: number
  readonly who?: string
  readonly address?: string
  readonly why?: string
}

/** Prints what a lock server has noted, the oldest first: in JSON a line for each. */
export async function log(key: string | undefined, { store: place, json, kind, since, limit }: LogOptions): Promise<void> {
  if (!isUrl(place)) {
    throw new Exit(exitCodes.failed, `${place} keeps no log: a lock server does, so name its URL with --store, or see \`storelock watch\``)
  }
  const query = {
    ...(key !== undefined && { key: keyOf(key) }),
    ...(kind !== undefined && { kind }),
    ...(since !== undefined && { since: `${Date.now() - since}` }),
    limit: `${limit}`,
  }
  const token = process.env[credentialVariable]
  const url = new URL(`v1/log?${new URLSearchParams(query)}`, place.replace(/\/*$/, '/'))
  const response = await fetch(url, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }).catch((error: Error) => {
    throw new Exit(exitCodes.failed, `cannot reach ${place}: ${(error.cause as Error | undefined)?.message ?? error.message}`)
  })
  const body = (await response.json().catch(() => ({}))) as { entries?: Entry[]; error?: { message: string } }
  if (!response.ok || !body.entries) throw new Exit(exitCodes.failed, `${place} gives no log: ${body.error?.message ?? `HTTP ${response.status}`}`)
  for (const entry of body.entries.reverse()) {
    if (json) printJson(entry)
    else print(lineOf(entry))
  }
}

function lineOf({ at, kind, key, session, token, who, address, why }: Entry): string {
  const about = Object.entries({ token, session, by: who, from: address, why }).filter(([, value]) => value !== undefined)
  const shade = kind === 'refusal' ? colours.red : colours.bold
  return [colours.dim(new Date(at).toISOString()), shade(kind), key, ...about.map(([name, value]) => `${name} ${value}`)].filter(Boolean).join('  ')
}
