import { readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import type { ClientCredential } from '../server/index.ts'
import type { Store } from '../store.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { untilSignal } from './interrupt.ts'
import { print, printJson, say } from './output.ts'
import { isUrl, withStore } from './store.ts'

export interface ServeOptions extends Common {
  /** `host:port`. */
  readonly listen: string
  /** A file with JSON: credentials as `serve` of `storelock/server` takes them. */
  readonly clients?: string
  readonly tlsKey?: string
  readonly tlsCert?: string
  readonly host?: string[]
  readonly origin?: string[]
}

/** What stands in the file of `--clients`. */
const clientList: z.ZodType<ClientCredential[]> = z.array(
  z.strictObject({ name: z.string(), token: z.string(), prefixes: z.array(z.string()).exactOptional(), admin: z.boolean().exactOptional() }),
)

/** Serves a SQLite store over HTTP until it is interrupted. */
export async function serve({ store: place, json, listen, clients, tlsKey, tlsCert, host: hosts, origin: origins }: ServeOptions): Promise<void> {
  if (isUrl(place)) throw new Exit(exitCodes.failed, `${place} is served already: name a SQLite file with --store`)
  if (!tlsKey !== !tlsCert) throw new Exit(exitCodes.failed, 'TLS needs both --tls-key and --tls-cert')
  const options = {
    ...addressOf(listen),
    ...(clients && { clients: readClients(clients) }),
    ...(tlsKey && tlsCert && { tls: { key: read(tlsKey), cert: read(tlsCert) } }),
    ...(hosts && { hosts }),
    ...(origins && { origins }),
  }
  const { serve: start } = await import('../server/index.ts')
  const use = async (store: Store, signal: AbortSignal): Promise<void> => {
    const server = await start(store, options)
    if (json) printJson({ url: server.url })
    else print(`serving ${place} at ${server.url}`)
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    say('stops: requests under way may finish')
    await server.close()
  }
  await untilSignal((signal) => withStore(place, (store) => use(store, signal), true))
}

function addressOf(listen: string): { host: string; port: number } {
  const [, host = '', port] = /^(?:\[?(.*?)\]?:)?(\d+)$/.exec(listen) ?? []
  if (!port || Number(port) > 65_535)
    throw new Exit(exitCodes.failed, `--listen takes a port, or an address and a port such as 127.0.0.1:7420, not ${listen}`)
  return { host: host || '127.0.0.1', port: Number(port) }
}

function readClients(path: string): ClientCredential[] {
  const text = read(path)
  if (process.platform !== 'win32' && statSync(path).mode & 0o077) {
    throw new Exit(exitCodes.failed, `${path} has secrets and can be read by others: chmod 600 ${path}`)
  }
  const found = clientList.safeParse(parse(text))
  if (found.success) return found.data
  throw new Exit(
    exitCodes.failed,
    `${path} is no JSON list of clients, such as [{ "name": "ci", "token": "…", "prefixes": ["ci/"], "admin": false }]:\n${z.prettifyError(found.error)}`,
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Exit(exitCodes.failed, `cannot read ${path}: ${(error as Error).message}`)
  }
}
