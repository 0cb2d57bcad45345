import { processBeacon } from '../beacons/process.ts'
import { makeLacks } from '../channels/lacks.ts'
import { postgresChannel } from '../channels/postgres.ts'
import { checkTimeout } from '../channels/timeout.ts'
import { type Fenced, LockError, wallClock } from '../protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../store.ts'
import type { Beside } from './postgres/beside.ts'
import { type Connections, connections, explainError, type PostgresClient, type PostgresPool } from './postgres/connect.ts'
import { keepConnection } from './postgres/dedicated.ts'
import { postgresEngine } from './postgres/engine.ts'
import { makeFence, type PostgresFence } from './postgres/fence.ts'
import { remoteStore } from './remote.ts'

export type { PostgresClient, PostgresPool } from './postgres/connect.ts'
export type { CheckStatement } from './postgres/fence.ts'
export { postgresSchema } from './postgres/schema.ts'

export interface PostgresStoreOptions {
  /** The schema in which the store creates and keeps its table. Default `storelock`. */
  schema?: string | undefined
  /**
   * An address of the same database that bypasses a pooler such as PgBouncer in transaction mode, because LISTEN does not work through one: a
   * connection string, or options of `pg`. Without it, waiters behind a pooler poll.
   */
  direct?: string | object | undefined
  /** Whether sessions wake each other by LISTEN and NOTIFY, over a dedicated connection. Default `true`. */
  notify?: boolean | undefined
  /** How long a connection or a statement may take, in ms. Default 5,000. */
  timeout?: number | undefined
  /** Wall time in ms since 1970. Default: the server's. */
  now?: (() => number) | undefined
}

export interface PostgresStore<Client extends PostgresClient> extends FencedStore<Client>, PostgresFence<Client> {
  readonly channel?: Channel | undefined
  readonly beacon?: Beacon | undefined
  check(client: Client, lock: Fenced): Promise<void>
  transaction<T>(lock: Fenced, body: (client: Client) => T): Promise<Awaited<T>>
}

/**
 * A store in a Postgres database, shared by all machines that connect to it. It needs the package `pg`, and Postgres 13 or newer. The first call
 * creates a schema with one table and two functions, unless they exist; `postgresSchema()` returns that SQL for your own migration.
 *
 * @param database a connection string, options of `pg`, or your own `Pool`, which the store does not close
 */
export function postgresStore<Client extends PostgresClient = PostgresClient>(
  database: string | object | PostgresPool<Client>,
  { schema = 'storelock', direct, notify = true, timeout = 5_000, now }: PostgresStoreOptions = {},
): PostgresStore<Client> {
  checkTimeout(timeout)
  const lacks = makeLacks()
  const losers = new Set<(why: string) => void>()
  let connected: Connections<Client> | undefined
  let connecting: Promise<Connections<Client>> | undefined
  let closed = false

  const connect = (): Promise<Connections<Client>> => {
    connecting ??= connections<Client>(database, { direct, timeout }).then((made) => {
      connected = made
      return made
    })
    return connecting
  }
  const title = (): string => connected?.title ?? 'the Postgres database'
  const explain = (error: unknown): LockError => explainError(error, title())
  const assertOpen = (): void => {
    if (closed) throw new LockError('closed', 'the store was closed')
  }
  const dropped = (): void => {
    // In a microtask, because sessions that end send commands to this store.
    queueMicrotask(() => {
      channel?.renew()
      for (const end of [...losers]) end('somebody dropped the table of storelock')
    })
  }

  const engine = postgresEngine({ connect, title, schema, now: now && wallClock(now), timeout, dropped })
  const store = remoteStore(engine)
  const quoted = `"${schema.replaceAll('"', '""')}"`
  const query = async (text: string, values: readonly unknown[]) => (await connect()).query(text, [...values])
  const dedicated = keepConnection(
    async () => (await connect()).open(),
    (why) => (why ? lacks.say('hints', `: ${explain(why).message}`) : lacks.regain('hints')),
  )
  const secret = async (): Promise<string> => {
    await engine.ready()
    const [row] = await query(`SELECT body FROM ${quoted}.lock_rows WHERE id = 'secret'`, [])
    return row.body
  }
  const channel = notify ? postgresChannel({ use: dedicated.use, query, secret }) : undefined
  const beacon = processBeacon()

  /** For a lock server's own tables. */
  const beside: Beside = {
    schema: quoted,
    title,
    async query(text, values = []) {
      assertOpen()
      try {
        await engine.ready()
        return await query(text, values)
      } catch (error) {
        throw explain(error)
      }
    },
  }

  return {
    ...store,
    ...{ beside },
    ...makeFence({ schema: quoted, timeout, connect, ready: engine.ready, assertOpen, explain }),
    ...(channel && { channel }),
    ...(beacon && { beacon }),
    onDegraded: lacks.onDegraded,
    onLost(listener) {
      const own = (why: string): void => listener(why)
      losers.add(own)
      return () => void losers.delete(own)
    },
    async close() {
      if (closed) return
      closed = true
      await store.close()
      channel?.close()
      // Idle connections do not keep the process alive, so without this timer it could exit before `close` resolves.
      const alive = setTimeout(() => {}, timeout)
      await dedicated.close()
      await (await connecting?.catch(() => undefined))?.close()
      clearTimeout(alive)
    },
  }
}
