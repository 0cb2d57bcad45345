import { chmodSync, readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import type { ClientCredential, LockServer, ReloadOptions } from '../server/index.ts'
import type { Store } from '../store.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { unlessAborted, untilSignal } from './interrupt.ts'
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
  /** How long requests under way may take at the end, in ms. */
  readonly grace: number
}

/** How long the process may take to end by itself once all is closed, in ms. */
const atEnd = 200

/** What stands in the file of `--clients`. */
const clientList: z.ZodType<ClientCredential[]> = z.array(
  z.strictObject({
    name: z.string(),
    token: z.string(),
    prefixes: z.array(z.string()).exactOptional(),
    admin: z.boolean().exactOptional(),
    readOnly: z.boolean().exactOptional(),
    steal: z.boolean().exactOptional(),
    ask: z.boolean().exactOptional(),
    expires: z.string().exactOptional(),
  }),
)

/** Serves a SQLite store over HTTP until it is told to end. SIGHUP has it read its files again. */
export async function serve(given: ServeOptions): Promise<void> {
  const { store: place, json, listen, clients, tlsKey, tlsCert, host: hosts, origin: origins, grace } = given
  if (isUrl(place)) throw new Exit(exitCodes.failed, `${place} is served already: name a SQLite file with --store`)
  if (!tlsKey !== !tlsCert) throw new Exit(exitCodes.failed, 'TLS needs both --tls-key and --tls-cert')
  const options = {
    ...addressOf(listen),
    ...filesOf(given),
    ...(tlsKey && tlsCert && { tls: { key: read(tlsKey), cert: read(tlsCert) } }),
    ...(hosts && { hosts }),
    ...(origins && { origins }),
    grace,
  }
  const { serve: start, checkStart } = await import('../server/index.ts')
  await checkStart(options, place)
  closeToOthers(place)
  let server: LockServer | undefined
  const reload = (): void => {
    try {
      // Before it serves, it has read them just now.
      server?.reload(filesOf(given))
      say(clients ? `read ${clients} again` : 'there are no files to read again')
    } catch (error) {
      say(`goes on as it was: ${(error as Error).message}`)
    }
  }
  process.on('SIGHUP', reload)
  const use = async (store: Store, signal: AbortSignal): Promise<void> => {
    server = await unlessAborted(signal, start(store, options))
    if (json) printJson({ url: server.url })
    else print(`serving ${place} at ${server.url}`)
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    say('stops: requests under way may finish')
    for (const what of await server.close()) say(`gave up after ${grace} ms: ${what}`)
  }
  try {
    await untilSignal((signal) => withStore(place, (store) => use(store, signal), true), ['SIGINT', 'SIGTERM'])
  } finally {
    process.off('SIGHUP', reload)
    // What was given up may go on for ever, as an attempt at a busy database does.
    setTimeout(() => process.exit(), atEnd).unref()
  }
}

/** What is beside a database, with the modes that they get: of what is made later, SQLite and we take the database's own. */
const files = [
  ['', 0o600],
  ['-wal', 0o600],
  ['-shm', 0o600],
  ['-storelock', 0o700],
] as const

/** Makes the database's files ours alone, those to come too: whoever may read the shm can stop all locks. */
function closeToOthers(place: string): void {
  // Windows has no such modes.
  if (process.platform === 'win32') return
  process.umask(0o077)
  for (const [suffix, mode] of files) {
    const path = place + suffix
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!stat || !(stat.mode & 0o077)) continue
    if (stat.uid !== process.geteuid?.()) throw new Exit(exitCodes.failed, `${path} is another user's and open to others: serve it as its owner`)
    chmodSync(path, mode)
    say(`${path} was open to others, who could have stopped all locks: now it is for its owner alone`)
  }
}

/** What is read anew at SIGHUP. */
const filesOf = ({ clients }: ServeOptions): ReloadOptions => ({ ...(clients && { clients: readClients(clients) }) })

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
