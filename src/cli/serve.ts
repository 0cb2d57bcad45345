import type { Policy } from '../protocol/index.ts'
import type { LockServer, ReportLevel, ServeOptions as ServerOptions } from '../server/index.ts'
import { makeReport } from '../server/report.ts'
import type { Store } from '../store.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { unlessAborted, untilSignal } from './interrupt.ts'
import { print, printJson } from './output.ts'
import { isPostgres, isShared, isUrl, withoutSecret } from './place.ts'
import { type Config, readConfig } from './serve/config.ts'
import { fileSettings, readFiles } from './serve/files.ts'
import { printConfig } from './serve/print.ts'
import { closeToOthers } from './serve/private.ts'
import { settings, type Typed } from './serve/settings.ts'
import { withUnwatchedStore } from './store.ts'
import { makeUserFolder, userStore } from './user-store.ts'

export interface ServeOptions extends Common {
  readonly printConfig?: true
}

/** How long the process may take to end by itself once everything is closed, in ms. */
const atEnd = 200

/** Serves a SQLite file or a Postgres database over HTTP until SIGINT or SIGTERM. On SIGHUP it reads its files again. */
export async function serve({ json, printConfig: only }: ServeOptions, typed: Typed): Promise<void> {
  const config = readConfig(typed, process.env)
  if (only) return await printConfig(config, json === true, process.env)
  const named = config.get('store')?.value as string
  const place = userStore(named) ?? named
  if (isUrl(place)) throw new Exit(exitCodes.failed, `${place} is a lock server itself: name a SQLite file or a Postgres database with --store`)
  if (isShared(place) && !isPostgres(place))
    throw new Exit(exitCodes.failed, 'a lock server needs a SQLite file or a Postgres database: its clients can use Redis and etcd without it')
  const options: ServerOptions = { ...optionsOf(config), ...readFiles(config) }
  const report = makeReport(options.report)
  const { serve: start, checkStart } = await import('../server/index.ts')
  const isFile = !isPostgres(place)
  await checkStart(options, isFile ? place : undefined)
  if (isFile) {
    makeUserFolder(place)
    closeToOthers(place, (message) => report.tell('warn', 'start', { message }))
  }
  let server: LockServer | undefined
  const reload = (): void => {
    const files = fileSettings.flatMap((name) => (config.get(name)?.value as string | undefined) ?? [])
    try {
      // A server that does not serve yet has just read them.
      server?.reload(readFiles(config))
      report.tell('info', 'reload', { message: files.length ? `read ${files.join(', ')} again` : 'there are no files to read again' })
    } catch (error) {
      report.tell('error', 'reload', { message: `nothing was changed: ${(error as Error).message}` })
    }
  }
  process.on('SIGHUP', reload)
  const use = async (store: Store, signal: AbortSignal): Promise<void> => {
    server = await unlessAborted(signal, start(store, options))
    if (json) printJson({ url: server.url })
    else print(`serving ${withoutSecret(place)} at ${server.url}`)
    report.tell('info', 'start', { url: server.url, pid: process.pid })
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    report.tell('info', 'stop', { message: 'pending requests may finish' })
    for (const what of await server.close()) report.tell('warn', 'stop', { message: `gave up after ${options.grace} ms: ${what}` })
  }
  try {
    await untilSignal((signal) => withUnwatchedStore(place, (store) => use(store, signal), true), ['SIGINT', 'SIGTERM'])
  } finally {
    process.off('SIGHUP', reload)
    // Abandoned work may go on for ever, such as attempts at a busy database.
    setTimeout(() => process.exit(), atEnd).unref()
  }
}

/** Converts the settings to the server's options. */
function optionsOf(config: Config): ServerOptions & { readonly grace: number } {
  const value = (name: string): unknown => config.get(name)?.value
  const listen = config.get('listen')
  const level = value('log.level') as ReportLevel | 'off'
  const limits = settings.filter(({ name }) => name.startsWith('limits.')).map(({ name }) => [name.slice('limits.'.length), value(name)])
  return {
    ...addressOf(listen?.value as string, listen?.from as string),
    ...(config.has('hosts') && { hosts: value('hosts') as string[] }),
    ...(config.has('origins') && { origins: value('origins') as string[] }),
    ...(config.has('policies') && { policies: value('policies') as Record<string, Policy> }),
    ...(level === 'off' ? { onError: () => {} } : { report: { level, write: (line) => void process.stderr.write(`${line}\n`) } }),
    expiry: value('expiry') as 'auto' | 'manual',
    inspector: value('inspector') as boolean,
    grace: value('grace') as number,
    log: {
      age: value('log.age') as number,
      entries: value('log.entries') as number,
      refusals: value('log.refusals') as number,
      required: value('log.required') as boolean,
    },
    limits: Object.fromEntries(limits),
  }
}

function addressOf(listen: string, from: string): { host: string; port: number } {
  const [, host = '', port] = /^(?:\[?(.*?)\]?:)?(\d+)$/.exec(listen) ?? []
  if (!port || Number(port) > 65_535)
    throw new Exit(exitCodes.failed, `${from}: it must be a port, or an address and a port such as 127.0.0.1:7420, not ${listen}`)
  return { host: host || '127.0.0.1', port: Number(port) }
}
