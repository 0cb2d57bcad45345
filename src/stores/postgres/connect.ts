import { LockError } from '../../protocol/index.ts'

/** The parts of a `pg` client that the store uses. */
export interface PostgresClient {
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: any[]): Promise<{ rows: any[] }>
  /** Only newer versions have this method. It returns `I` outside a transaction. */
  getTransactionStatus?(): string | null
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

/** The parts of a `pg` pool that the store uses. */
export interface PostgresPool<Client extends PostgresClient = PostgresClient> {
  connect(): Promise<Client & { release(broken?: Error | boolean): void }>
}

/** A client with a connection of its own. */
export interface OwnClient extends PostgresClient {
  readonly processID?: number | null
  readonly host?: string
  readonly port?: number
  readonly database?: string | undefined
  connect(): Promise<unknown>
  end(): Promise<void>
  on(event: 'notification', listener: (notice: { channel: string; payload?: string | undefined }) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  unref?(): void
}

export interface Connections<Client extends PostgresClient> {
  /** The database's name in error messages. */
  readonly title: string
  /**
   * Runs one statement.
   * @param name prepares the statement under this name, except behind a pooler, where the next statement may run in another server session
   */
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: unknown[], name?: string): Promise<any[]>
  /** Lends one of our own connections. */
  lendOwn<T>(use: (client: PostgresClient) => Promise<T>): Promise<T>
  /** Lends a connection for a user's transaction: from the user's pool if there is one, otherwise from a pool of ours. */
  lend<T>(use: (client: Client) => Promise<T>): Promise<T>
  /** Opens a dedicated connection, at the `direct` address if there is one. Rejects if the connection leads through a pooler. */
  open(): Promise<OwnClient>
  /** Closes the pools that were opened here, not the user's. */
  close(): Promise<void>
}

export interface ConnectOptions {
  readonly direct: string | object | undefined
  /** In ms. */
  readonly timeout: number
}

interface OwnPool<Client extends PostgresClient> extends PostgresPool<Client> {
  on(event: 'error', listener: () => void): unknown
  end(): Promise<void>
}

type Pg = { Pool: new (options: object) => OwnPool<never>; Client: new (options: object) => OwnClient }

/** The most connections that locks use at once, and that the user's transactions use if the store opens those too. */
const most = { ofLocks: 4, ofTransactions: 10 }

/**
 * Opens connections of our own even if the user passes a pool: heartbeats must not wait while the app has lent out its whole pool or runs long
 * transactions.
 */
export async function connections<Client extends PostgresClient>(
  database: string | object | PostgresPool<Client>,
  { direct, timeout }: ConnectOptions,
): Promise<Connections<Client>> {
  const isPool = typeof database === 'object' && 'connect' in database
  const given = isPool ? (database as PostgresPool<Client> & { readonly options?: Settings; readonly Client?: Pg['Client'] }) : undefined
  if (given && !given.options) throw new TypeError('not a Pool of pg: pass one, its options, or a connection string')
  const ours = { application_name: 'storelock', keepAlive: true, connectionTimeoutMillis: timeout, allowExitOnIdle: true }
  // The password in a pool's options is not enumerable, so the spread misses it.
  const settings = (from: string | Settings): Settings =>
    typeof from === 'string' ? { ...ours, connectionString: from } : { ...ours, ...from, ...('password' in from && { password: from.password }) }
  const base = settings(given?.options ?? (database as string | Settings))
  const { Pool, Client } = await load()
  const opened: OwnPool<never>[] = []
  const openPool = (max: number): PostgresPool<Client> => {
    const pool = new Pool({ ...base, max })
    // Without a listener, an error of an idle connection would crash the process.
    pool.on('error', () => {})
    opened.push(pool)
    return pool
  }
  const pool = openPool(most.ofLocks)
  let theirs: PostgresPool<Client> | undefined = given
  let isPooled: boolean | undefined

  return {
    title: titleOf(new Client(base)),
    lendOwn: (use) => lendFrom(pool, use),
    async lend(use) {
      theirs ??= openPool(most.ofTransactions)
      return lendFrom(theirs, use)
    },
    query: (text, values, name) =>
      lendFrom(pool, async (client) => {
        isPooled ??= await leadsThroughPooler(client)
        const statement = { text, values, name: isPooled ? undefined : name, query_timeout: timeout } as unknown as string
        return (await client.query(statement)).rows
      }),
    async open() {
      const client = new Client(direct ? settings(direct) : base)
      client.on('error', () => {})
      await client.connect()
      if (!(await leadsThroughPooler(client))) return client
      client.end().catch(() => {})
      throw new Pooled('a pooler stands before the database, so nothing can listen there: give the store an address past it (`direct`)')
    },
    close: async () => void (await Promise.all(opened.map((pool) => pool.end()))),
  }
}

interface Settings {
  readonly connectionString?: string
  readonly password?: unknown
}

async function lendFrom<Client extends PostgresClient, T>(pool: PostgresPool<Client>, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  // The pending query fails as well. Without a listener, the error event would crash the process.
  const ignore = (): void => {}
  client.on?.('error', ignore)
  try {
    const result = await use(client)
    client.release()
    return result
  } catch (error) {
    // Unless the server has answered, the connection may be in the middle of something, so it must not go back to the pool.
    client.release(!isOfServer(error))
    throw error
  } finally {
    client.off?.('error', ignore)
  }
}

/** Whether the server process that answers is not the one that the connection started with. */
async function leadsThroughPooler(client: PostgresClient & { readonly processID?: number | null }): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  return rows[0].pid !== client.processID
}

/** The connection leads through a pooler that lends out a server session for one transaction at a time. */
export class Pooled extends Error {}

async function load(): Promise<Pg> {
  try {
    const { default: pg } = await import('pg')
    return pg as unknown as Pg
  } catch (error) {
    throw new LockError('store', 'a Postgres store needs the package pg: npm install pg', { cause: error })
  }
}

const titleOf = ({ host, port, database }: OwnClient): string => `the Postgres database ${database ?? ''} on ${host ?? 'localhost'}:${port ?? 5432}`

/** The SQLSTATE of an error; `undefined` if the error does not come from the server. */
export const codeOf = (error: unknown): string | undefined => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** Whether the server has answered with an error and the connection is still usable. */
export const isOfServer = (error: unknown): boolean => {
  const code = codeOf(error)
  return code !== undefined && !/^(08|57P0)/.test(code)
}

/** Advice for some of the server's errors, by SQLSTATE. */
const advice: Readonly<Record<string, string>> = {
  '25006': 'this server is read-only, perhaps a replica: connect to the primary',
  '42501': 'the user may not do this: have somebody who may run the SQL of postgresSchema(), which says what to grant',
  '53300': 'the server has no connection left: use fewer, or a pooler',
}

/** The engine's error as a `LockError` with a message that names the database, without a password. */
export function explainError(error: unknown, title: string): LockError {
  if (error instanceof LockError) return error
  const { errors, message } = error as AggregateError
  // Node's error for several refused addresses has no message of its own.
  const words = message || errors?.map((each) => each.message).join(', ') || String(error)
  const help = advice[codeOf(error) ?? '']
  return new LockError('store', `${title}: ${words}${help ? ` (${help})` : ''}`, { cause: error })
}
