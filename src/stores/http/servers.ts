import { LockError } from '../../protocol/index.ts'
import type { ApplyBody, ApplyReply } from '../../server/wire.ts'
import { type Connection, type ConnectionOptions, isUnreached, makeConnection, newKey, type Sending } from './connection.ts'

/** How long an answer may take, in ms. With several servers it is shorter, so that the next one is asked while a lease still lasts. */
const patience = { alone: 5_000, several: 2_000 }
/** The first and the longest pause before we tell a server that did not answer which batches are void, in ms. */
const pauses = { first: 100, longest: 5_000 }

/** One lock server, or several on the same store. One of them is in use; if it does not answer, the next one takes its place. */
export interface Servers extends Connection {
  /** Sends a batch. If a server does not answer, the batch goes to the next one. Requests are numbered, so a repeated request counts once. */
  apply(body: ApplyBody, how: Sending): Promise<ApplyReply>
}

interface Listeners {
  /** Called when another server is in use from now on. */
  moved(): void
  /** Called when a server has not answered a batch, which it may still carry out later. */
  doubted(body: ApplyBody, server: number): void
  /** Called when a server no longer carries out anything that was sent up to this batch. */
  cleared(server: number, batch: number): void
}

/** @throws TypeError if one of these is not the URL of a server, or there is none */
export function makeServers(
  urls: string | readonly string[],
  options: ConnectionOptions,
  { moved, doubted, cleared }: Partial<Listeners> = {},
): Servers {
  const all = Array.isArray(urls) ? (urls as readonly string[]) : [urls as string]
  if (!all.length) throw new TypeError('httpStore needs the URL of at least one lock server, such as http://127.0.0.1:7420')
  const own = { timeout: all.length > 1 ? patience.several : patience.alone, ...withoutUndefined(options) }
  // All servers have to know this client by the same key.
  const client = own.client ?? newKey()
  const connections = all.map((url) => makeConnection(url, { ...own, client }))
  /** For each server, the last batch that it has not answered. */
  const debts = new Map<number, number>()
  const telling = new Set<number>()
  let current = 0
  let closed = false

  const leave = (server: number): void => {
    if (server !== current || closed) return
    current = (server + 1) % all.length
    moved?.()
  }

  /** Asks the server in use, and then each of the others, until one answers. */
  const ask = async <T>(attempt: (connection: Connection, server: number) => Promise<T>, failed?: (server: number) => void): Promise<T> => {
    if (all.length === 1) return await attempt(connections[0] as Connection, 0)
    const tried = new Set<number>()
    for (let server = current; ; ) {
      tried.add(server)
      try {
        return await attempt(connections[server] as Connection, server)
      } catch (error) {
        if (!isUnreached(error) || closed) throw error
        failed?.(server)
        leave(server)
        const next = [current, ...all.keys()].find((other) => !tried.has(other))
        if (next === undefined) throw noneOf(all.length, error as LockError)
        server = next
      }
    }
  }

  /** Tells a server that its unanswered batches are void, until it has answered. */
  const tell = async (server: number, sender: string): Promise<void> => {
    if (telling.has(server)) return
    telling.add(server)
    for (let pause = pauses.first; !closed && debts.has(server); pause = Math.min(2 * pause, pauses.longest)) {
      await rest(pause)
      const upTo = debts.get(server) as number
      try {
        await connections[server]?.post<ApplyReply>('/v1/apply', { commands: [], sender, void: upTo } satisfies ApplyBody, ['outcomes'])
      } catch {
        continue
      }
      if (debts.get(server) === upTo) debts.delete(server)
      cleared?.(server, upTo)
    }
    telling.delete(server)
  }

  return {
    assertOpen: () => connections[0]?.assertOpen(),
    get: (path, parts) => ask((connection) => connection.get(path, parts)),
    post: (path, body, parts, how) => ask((connection) => connection.post(path, body, parts, how)),
    stream: (path, over) =>
      ask(async (connection) => {
        try {
          return await connection.stream(path, over, all.length > 1 ? own.timeout : undefined)
        } catch (error) {
          // The caller has ended the stream, so nothing is wrong with the server.
          if (over.signal.aborted) throw new LockError('store', (error as LockError).message, { cause: error })
          throw error
        }
      }),
    apply: (body, how) =>
      ask(
        (connection, server) => {
          const given = Math.max(body.void ?? 0, debts.get(server) ?? 0)
          return connection.post('/v1/apply', { ...body, void: given }, ['outcomes', 'lockTokens'], how)
        },
        (server) => {
          const { batch, sender } = body
          if (batch === undefined || sender === undefined) return
          debts.set(server, Math.max(batch, debts.get(server) ?? 0))
          doubted?.(body, server)
          tell(server, sender)
        },
      ),
    close() {
      closed = true
      for (const connection of connections) connection.close()
    },
  }
}

/** The error if no server has answered. It has the cause of the last error, so that callers know whether that server was only slow. */
const noneOf = (count: number, last: LockError): LockError =>
  new LockError('store', `none of the ${count} lock servers has answered; the last one: ${last.message}`, { cause: last.cause ?? last })

const withoutUndefined = (options: ConnectionOptions): ConnectionOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

export const rest = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    const timer: unknown = setTimeout(resolve, ms)
    if (typeof timer === 'object') (timer as { unref(): void }).unref()
  })
