import { inProcessChannel } from '../channels/in-process.ts'
import { missed } from '../channels/message.ts'
import { type Command, emptyRecord, type Fenced, LockError, type LockView, viewOfPlain } from '../protocol/index.ts'
import type { ListReply, ReadReply, RowsReply } from '../server/wire.ts'
import type { Channel, Part, Store } from '../store.ts'
import { makeDoubts } from './http/doubts.ts'
import { makeHints } from './http/hints.ts'
import { makeLedger } from './http/ledger.ts'
import { makePost } from './http/post.ts'
import { makeServers, rest } from './http/servers.ts'
import { makeTopics } from './http/topics.ts'

export interface HttpStoreOptions {
  /** The credential that the server asks for. */
  token?: string | undefined
  /**
   * How long an answer may take, in ms. If an answer is late, the store asks the next server; if there is no other, waiters repeat the request for up
   * to two minutes. Default 5,000, or 2,000 with several servers: a lock is kept if the next server answers before its duration is over.
   */
  timeout?: number | undefined
  /** Sends requests. Default: in Node the `http` client, because Node's `fetch` takes twice as long; elsewhere `fetch`. */
  fetch?: typeof fetch | undefined
  /**
   * Identifies this client to the server: 16 to 128 random letters, digits, `_` or `-`. It is a secret: a process that has it and the same credential
   * controls the client's sessions. Default: a new random one.
   */
  client?: string | undefined
}

export interface HttpStore extends Store {
  readonly channel: Channel
  /**
   * The lockToken of a held lock. It proves to other services, such as a file server, that this client holds the lock.
   * @throws LockError `not-held` if this store has no such hold
   */
  lockToken(lock: Fenced): string
}

/** How many session rows a server returns at once. */
const mostRows = 100

/** How many records a server returns at once. */
const longestPage = 1_000

/**
 * A store on a lock server. The server itself observes which sessions are dead, and ignores the evidence of clients. Its event stream keeps the
 * process alive until `close()`.
 *
 * @param urls the URL of the server, such as `http://127.0.0.1:7420`; or the URLs of several lock servers on one store: if one does not answer, the
 * next one is used, with the same sessions and locks
 * @throws TypeError if there is no URL, or one that is not HTTP
 */
export function httpStore(urls: string | readonly string[], options: HttpStoreOptions = {}): HttpStore {
  const doubts = makeDoubts()
  const connection = makeServers(urls, options, {
    moved: () => hints.moved(),
    doubted: doubts.add,
    cleared(server, batch) {
      const withdrawals = doubts.clear(server, batch)
      if (withdrawals.length) insist(withdrawals)
    },
  })
  const ledger = makeLedger()

  const insist = async (commands: readonly Command[]): Promise<void> => {
    for (let pause = 100; ; pause = Math.min(2 * pause, 5_000)) {
      try {
        await post.apply(commands)
        return
      } catch (error) {
        if ((error as LockError).code === 'closed') return
      }
      await rest(pause)
    }
  }
  const local = inProcessChannel()
  const topics = makeTopics((topic) => local.deliver(topic, missed))

  const read = async (key: string): Promise<ReadReply> => {
    const reply = await connection.get<ReadReply>(`/v1/locks?${new URLSearchParams({ key })}`, ['lock', 'lockTokens'])
    for (const ticket of reply.lockTokens) ledger.put(ticket)
    if (reply.lock) ledger.look(reply.lock)
    return reply
  }

  /** Whether the server returns session rows; older servers do not. */
  let givesRows = true
  const rows: Store['rows'] = async (sessions, key) => {
    if (!givesRows || sessions.length > mostRows) return undefined
    const asked = new URLSearchParams([['key', key], ...sessions.map((id) => ['session', id])])
    try {
      const reply = await connection.get<RowsReply>(`/v1/locks?${asked}`, ['sessions'])
      return new Map(Object.entries(reply.sessions))
    } catch (error) {
      if ((error as LockError).code !== 'invalid') throw error
      givesRows = false
      return undefined
    }
  }

  /** Up to `limit` records after a key, in pages as large as the server returns. */
  async function* pages(prefix: string, after: string | undefined, limit: number, { busy }: Part): AsyncGenerator<LockView[]> {
    let left = limit
    for (let from = after; ; ) {
      const asked = {
        prefix,
        limit: `${Math.min(left, longestPage)}`,
        ...(from !== undefined && { after: from }),
        ...(busy && { busy: 'true' }),
      }
      const { locks, more } = await connection.get<ListReply>(`/v1/locks?${new URLSearchParams(asked)}`, ['locks', 'more'])
      yield locks.map(viewOfPlain)
      left -= locks.length
      from = locks.at(-1)?.key
      if (!more || left <= 0) return
    }
  }

  const post = makePost({
    send: (body, keepalive) => {
      const repeatable = body.commands.every(({ type }) => type === 'beat' || type === 'renew')
      return connection.apply(body, { keepalive, repeatable })
    },
    topics,
    look: async (key) => (await read(key)).lock ?? { ...emptyRecord(key), sessions: {} },
    async lookUp(commands) {
      // Reading a record finds the lockTokens that an unanswered command, or another store with this client key, was granted.
      for (const key of ledger.missing(commands)) await read(key)
    },
    dress: ledger.dress,
    arrived: (commands, reply) => {
      ledger.saw(commands, reply)
      hints.saw(reply)
    },
  })
  const hints = makeHints({ connection, local, topics, granted: ledger.put, sender: post.sender, topicsChanged: () => post.say() })

  return {
    spansMachines: true,
    channel: hints.channel,
    onDegraded: hints.onDegraded,
    // Every request ends by its own timeout.
    isBusy: () => true,
    async apply(commands: readonly Command[]) {
      connection.assertOpen()
      doubts.saw(commands, ledger.holdsOf)
      try {
        return await post.apply(commands)
      } finally {
        // Also if the session's end did not reach the server, because nothing more is sent for this session.
        for (const command of commands) if (command.type === 'end' && command.seq === undefined) ledger.end(command.session)
      }
    },
    async read(key) {
      const { lock } = await read(key)
      return lock ? viewOfPlain(lock) : undefined
    },
    rows,
    async list(prefix = '', part = {}) {
      const found: LockView[] = []
      for await (const views of pages(prefix, undefined, Infinity, part)) found.push(...views)
      // The server's store decides the order of pages.
      return found.sort((a, b) => (a.key < b.key ? -1 : 1))
    },
    async page(prefix, after, limit, part = {}) {
      const found: LockView[] = []
      for await (const views of pages(prefix, after, limit, part)) found.push(...views)
      return found
    },
    lockToken(lock) {
      const lockToken = ledger.ofHold(lock)
      if (lockToken === undefined) throw new LockError('not-held', `this store has no hold of ${JSON.stringify(lock.name)} with token ${lock.token}`)
      return lockToken
    },
    async close() {
      hints.close()
      post.close()
      connection.close()
    },
  }
}
