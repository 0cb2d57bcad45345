import { bodyOf, type Fenced, fencedOut, LockError } from '../../protocol/index.ts'
import { recordId, sessionId } from '../remote.ts'
import { type Connections, codeOf, isOfServer, type PostgresClient } from './connect.ts'
import { isMissing, shortId } from './engine.ts'

/** A statement that checks a lock, for any client: `sql.unsafe(text, values)` of postgres.js, `CompiledQuery.raw(text, values)` of Kysely. */
export interface CheckStatement {
  readonly text: string
  readonly values: readonly string[]
}

export interface PostgresFence<Client> {
  /**
   * Checks a lock in a transaction that you have begun on this client. Until the transaction ends, no other session can be granted the lock;
   * heartbeats and waiters go on meanwhile. Works at every isolation level; above READ COMMITTED, call it first.
   */
  check(client: Client, lock: Fenced): Promise<void>
  /** The statement that `check` sends, for clients that the store does not know. It fails with SQLSTATE `STL01` unless the lock is held. */
  checkStatement(lock: Fenced): CheckStatement
  /** Runs `body` in a transaction of its own, on a client of the pool. */
  transaction<T>(lock: Fenced, body: (client: Client) => T): Promise<Awaited<T>>
}

interface FenceOptions<Client extends PostgresClient> {
  /** The quoted name of our schema. */
  readonly schema: string
  /** How long a statement of ours may take, in ms. The user's own statements may take longer. */
  readonly timeout: number
  connect(): Promise<Connections<Client>>
  /** Creates the store's schema unless it exists. */
  ready(): Promise<void>
  assertOpen(): void
  explain(error: unknown): LockError
}

/** The SQLSTATE of `lock_check` if the lock is not held. */
const refused = 'STL01'

export function makeFence<Client extends PostgresClient>(options: FenceOptions<Client>): PostgresFence<Client> {
  const { schema, timeout, connect, ready, assertOpen, explain } = options
  const within = (text: string, values: string[] = []): string => ({ text, values, query_timeout: timeout }) as unknown as string

  const checkStatement = ({ key, session, token }: Fenced): CheckStatement => ({
    text: `SELECT ${schema}.lock_check($1, $2, $3, $4)`,
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

  return {
    checkStatement,
    check: (client, lock) => verify(client, lock, (text, values) => client.query(text, values)),
    async transaction<T>(lock: Fenced, body: (client: Client) => T): Promise<Awaited<T>> {
      assertOpen()
      lock.assertHeld()
      const theirs = bodyOf(body)
      try {
        await ready()
        return await (await connect()).lend(async (client) => {
          await client.query(within('BEGIN'))
          try {
            await verify(client, lock, (text, values) => client.query(within(text, values)))
            const result = await theirs.run(client)
            const { command } = (await client.query(within('COMMIT'))) as { command?: string }
            // A statement in the body failed, and the body caught its error.
            if (command === 'ROLLBACK') throw new Error('the transaction was rolled back, because a statement in it had failed')
            return result
          } catch (error) {
            // A broken connection is closed instead, which rolls back as well.
            if (theirs.threw(error) || isOfServer(error)) await client.query(within('ROLLBACK')).catch(() => {})
            throw error
          }
        })
      } catch (error) {
        throw theirs.threw(error) ? error : explain(error)
      }
    },
  }
}
