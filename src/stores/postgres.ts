import { processBeacon } from '../beacons/process.ts'
import { makeLacks } from '../channels/lacks.ts'
import { postgresChannel } from '../channels/postgres.ts'
import { bodyOf, type Fenced, fencedOut, LockError, wallClock } from '../protocol/index.ts'
import type { Beacon, Channel, FencedStore } from '../store.ts'
import type { Beside } from './postgres/beside.ts'
import { type Connections, codeOf, connections, explainError, isOfServer, type PostgresClient, type PostgresPool } from './postgres/connect.ts'
import { keepConnection } from './postgres/dedicated.ts'
import { isMissing, postgresEngine, shortId } from './postgres/engine.ts'
import { recordId, remoteStore, sessionId } from './remote.ts'

export type { PostgresClient, PostgresPool } from './postgres/connect.ts'
export { postgresSchema } from './postgres/schema.ts'

export interface PostgresStoreOptions {
  /** The database's schema that the store makes and keeps its table in. Default `storelock`. */
  schema?: string
  /**
   * An address of the same database past a pooler such as PgBouncer in transaction mode, through which nobody can listen: a connection string, or
   * options of `pg`. Without one, waiters behind a pooler poll.
   */
  direct?: string | object
  /** Whether sessions wake each other by LISTEN and NOTIFY, over a connection of their own. Default `true`. */
  notify?: boolean
  /** How long a connection or a statement may take, in ms. Default 5,000. */
  timeout?: number
  /** Wall time in ms since 1970. Default: the server's. */
  now?: () => number
}

/** A statement that checks a lock, for any client: `sql.unsafe(text, values)` of postgres.js, `CompiledQuery.raw(text, values)` of Kysely. */
export interface CheckStatement {
  readonly text: string
  readonly values: readonly string[]
}

export interface PostgresStore<Client extends PostgresClient> extends FencedStore<Client> {
  readonly channel?: Channel
  readonly beacon?: Beacon
  /**
   * Checks a lock in a transaction that you have begun on this client, and keeps others from being granted it until that ends. Heartbeats and waiters
   * go on meanwhile. Works at each isolation level; above READ COMMITTED call it first.
   */
  check(client: Client, lock: Fenced): Promise<void>
  /** Runs `body` in a transaction of its own, on a client of the pool. */
  transaction<T>(lock: Fenced, body: (client: Client) => T): Promise<Awaited<T>>
  /** What {@link check} sends, for clients that the store does not know. It fails with the code `STL01` unless the lock is held. */
  checkStatement(lock: Fenced): CheckStatement
}

/** The code with which our function refuses. */
const refused = 'STL01'

/**
 * A store in a Postgres database, shared by all machines that connect to it. It needs the package `pg`, and Postgres 12 or newer. The first call makes
 * a schema with one table and two functions, unless they exist; `postgresSchema()` returns the SQL for a migration of yours.
 *
 * @param database a connection string, options of `pg`, or your own `Pool`, which the store does not close
 */
export function postgresStore<Client extends PostgresClient = PostgresClient>(
  database: string | object | PostgresPool<Client>,
  { schema = 'storelock', direct, notify = true, timeout = 5_000, now }: PostgresStoreOptions = {},
): PostgresStore<Client> {
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
    // Afterwards, since sessions that end send commands to this store.
    queueMicrotask(() => {
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

  /** A statement that must not take too long. The user's own may. */
  const within = (text: string, values: string[] = []): string => ({ text, values, query_timeout: timeout }) as unknown as string

  const checkStatement = ({ key, session, token }: Fenced): CheckStatement => ({
    text: `SELECT ${quoted}.lock_check($1, $2, $3, $4)`,
    values: [shortId(recordId(key)), shortId(sessionId(session)), session, String(token)],
  })

  /** @param send runs the statement of the check */
  const verify = async (client: PostgresClient, lock: Fenced, send: (text: string, values: string[]) => Promise<unknown>): Promise<void> => {
    assertOpen()
    lock.assertHeld()
    if (client.getTransactionStatus?.() === 'I') throw new LockError('invalid', 'a lock can only be checked in a transaction: BEGIN one first')
    const { text, values } = checkStatement(lock)
    try {
      await send(text, [...values])
    } catch (error) {
      throw codeOf(error) === refused || isMissing(error) ? fencedOut(lock) : explain(error)
    }
  }

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
    ...(channel && { channel }),
    ...(beacon && { beacon }),
    onDegraded: lacks.onDegraded,
    onLost(listener) {
      const own = (why: string): void => listener(why)
      losers.add(own)
      return () => void losers.delete(own)
    },
    check: (client, lock) => verify(client, lock, (text, values) => client.query(text, values)),
    checkStatement,
    async transaction<T>(lock: Fenced, body: (client: Client) => T): Promise<Awaited<T>> {
      assertOpen()
      lock.assertHeld()
      const theirs = bodyOf(body)
      try {
        await engine.ready()
        return await (await connect()).lend(async (client) => {
          await client.query(within('BEGIN'))
          let over: (() => Promise<void> | undefined) | undefined
          try {
            await verify(client, lock, (text, values) => client.query(within(text, values)))
            const checked = lock.checked?.(false)
            over = checked && (() => checked.over())
            const result = await theirs.run(client)
            const { command } = (await client.query(within('COMMIT'))) as { command?: string }
            // A statement failed, and the body did not say so.
            if (command === 'ROLLBACK') throw new Error('the transaction was rolled back, because a statement in it had failed')
            return result
          } catch (error) {
            // A connection that is broken is closed, which does the same.
            if (theirs.threw(error) || isOfServer(error)) await client.query(within('ROLLBACK')).catch(() => {})
            throw error
          } finally {
            await over?.()
          }
        })
      } catch (error) {
        throw theirs.threw(error) ? error : explain(error)
      }
    },
    async close() {
      if (closed) return
      closed = true
      await store.close()
      channel?.close()
      // Idle connections keep no process alive, but whoever waits for their end should see it.
      const alive = setTimeout(() => {}, timeout)
      await dedicated.close()
      await (await connecting?.catch(() => undefined))?.close()
      clearTimeout(alive)
    },
  }
}
