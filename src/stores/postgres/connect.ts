import { LockError } from '../../protocol/index.ts'

/** The parts of a client of `pg` that are used. */
export interface PostgresClient {
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: any[]): Promise<{ rows: any[] }>
  /** Newer versions have it: `I` outside a transaction. */
  getTransactionStatus?(): string | null
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

/** The parts of a `Pool` of `pg` that are used. */
export interface PostgresPool<Client extends PostgresClient = PostgresClient> {
  connect(): Promise<Client & { release(broken?: Error | boolean): void }>
}

/** A client that has a connection of its own. */
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
  /** How errors call the database. */
  readonly title: string
  /**
   * Runs one statement.
   * @param name prepares it under this name, where that is possible: behind a pooler the next one may reach another session
   */
  // biome-ignore lint/suspicious/noExplicitAny: a row has whatever the statement asks for
  query(text: string, values?: unknown[], name?: string): Promise<any[]>
  /** Lends one of our own connections. */
  lendOwn<T>(use: (client: PostgresClient) => Promise<T>): Promise<T>
  /** Lends a connection of the user's pool, or one that is kept for the user's transactions. */
  lend<T>(use: (client: Client) => Promise<T>): Promise<T>
  /** A connection of its own, past a pooler if the user has said how. Rejects if it leads through one. */
  open(): Promise<OwnClient>
  /** Closes what was opened here. */
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

/** How many connections locks use at once, and transactions of the user if the store opens those, too. */
const most = { ofLocks: 4, ofTransactions: 10 }

/**
 * Connections of our own beside the pool of a user: if the app has lent out all of that, or has long transactions, no heartbeat may wait for it.
 */
export async function connections<Client extends PostgresClient>(
  database: string | object | PostgresPool<Client>,
  { direct, timeout }: ConnectOptions,
): Promise<Connections<Client>> {
  const isPool = typeof database === 'object' && 'connect' in database
  const given = isPool ? (database as PostgresPool<Client> & { readonly options?: Settings; readonly Client?: Pg['Client'] }) : undefined
  if (given && !given.options) throw new TypeError('not a Pool of pg: pass one, its options, or a connection string')
  const ours = { application_name: 'storelock', keepAlive: true, connectionTimeoutMillis: timeout, allowExitOnIdle: true }
  // In the options of a pool the password is not enumerable.
  const settings = (from: string | Settings): Settings =>
    typeof from === 'string' ? { ...ours, connectionString: from } : { ...ours, ...from, ...('password' in from && { password: from.password }) }
  const base = settings(given?.options ?? (database as string | Settings))
  const { Pool, Client } = await load()
  const opened: OwnPool<never>[] = []
  const openPool = (max: number): PostgresPool<Client> => {
    const pool = new Pool({ ...base, max })
    // Without a listener, the end of an idle connection would end the process.
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
  // What it was asked fails too. Without a listener, the end of the connection would end the process.
  const ignore = (): void => {}
  client.on?.('error', ignore)
  try {
    const result = await use(client)
    client.release()
    return result
  } catch (error) {
    // Whatever it was doing, nobody should get it next.
    client.release(!isOfServer(error))
    throw error
  } finally {
    client.off?.('error', ignore)
  }
}

/** Whether another process serves this connection than the one that it began with. */
async function leadsThroughPooler(client: PostgresClient & { readonly processID?: number | null }): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  return rows[0].pid !== client.processID
}

/** A connection leads through a pooler, which lends a session for a transaction at a time. */
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

/** The server's code for an error; `undefined` if it is not the server's. */
export const codeOf = (error: unknown): string | undefined => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** Whether the server has answered with an error, and the connection goes on. */
export const isOfServer = (error: unknown): boolean => {
  const code = codeOf(error)
  return code !== undefined && !/^(08|57P0)/.test(code)
}

/** What to do about some of the server's errors. */
const advice: Readonly<Record<string, string>> = {
  '25006': 'this server is read-only, perhaps a replica: connect to the primary',
  '42501': 'the user may not do this: have somebody who may run the SQL of postgresSchema(), which says what to grant',
  '53300': 'the server has no connection left: use fewer, or a pooler',
}

/** An error of the engine, in words that name the database and no password. */
export function explainError(error: unknown, title: string): LockError {
  if (error instanceof LockError) return error
  const { errors, message } = error as AggregateError
  // Node's error for several refused addresses has no message of its own.
  const words = message || errors?.map((each) => each.message).join(', ') || String(error)
  const help = advice[codeOf(error) ?? '']
  return new LockError('store', `${title}: ${words}${help ? ` (${help})` : ''}`, { cause: error })
}
