import type { IDBPDatabase, IDBPTransaction, StoreNames } from 'idb'
import { runBatch } from '../protocol/batch.ts'
import type { Command, Outcome } from '../protocol/commands.ts'
import type { LockError } from '../protocol/errors.ts'
import type { Fenced } from '../protocol/fence.ts'
import { isEmpty, type LockView, rowsOf, viewOf } from '../protocol/record.ts'
import { wallClock } from '../protocol/wall.ts'
import type { FencedStore } from '../store.ts'
import { lookAround } from './indexeddb/around.ts'
import { ask } from './indexeddb/ask.ts'
import { Connection } from './indexeddb/connection.ts'
import { explain, failsAnew } from './indexeddb/fault.ts'
import { checkFence, fenceStore, type OpenTransaction, runFenced } from './indexeddb/fence.ts'
import { Memory } from './indexeddb/memory.ts'
import { type OpenDatabase, type Rows, type Scope, scopes, tooNarrow } from './indexeddb/rows.ts'
import { sourceOf } from './indexeddb/source.ts'

export { type FenceSchema, fenceStore, type OpenTransaction } from './indexeddb/fence.ts'
export { type OpenDatabase, upgradeIndexedDB } from './indexeddb/rows.ts'

export interface IndexedDBStoreOptions {
  /** When a change counts as done: `relaxed` when the operating system has it, `strict` when the disk has it. Default `relaxed`. */
  durability?: IDBTransactionDurability | undefined
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
  /** The database's name, if `database` is a function that cannot return it yet. */
  name?: string | undefined
}

/** How many keys of empty records the fence may have before a list drops them, and how many it drops in one transaction. */
const fewIdle = 16
const mostIdle = 500

/** How long a transaction may wait for others before the engine counts as hung, in ms: a hung tab blocks others for a minute. */
const longestTurn = 120_000

/** The names of a database's own object stores. */
export type NamesOf<Db> = Db extends IDBPDatabase<infer Schema> ? StoreNames<Schema> : string

/** A transaction of a database, with its library's type. */
export type TransactionOf<Db, Names extends readonly NamesOf<Db>[]> =
  Db extends IDBPDatabase<infer Schema>
    ? Names extends readonly StoreNames<Schema>[]
      ? IDBPTransaction<Schema, [...Names], 'readwrite'>
      : never
    : IDBTransaction

export interface IndexedDBStore<Db> extends FencedStore<TransactionOf<Db, NamesOf<Db>[]>> {
  /**
   * Checks a lock in a readwrite transaction of yours that includes {@link fenceStore}, and aborts it unless the lock is held. You need not await it:
   * nothing is committed before the check has passed.
   */
  check(tx: OpenTransaction, lock: Fenced): Promise<void>
  /**
   * Runs `body` in a readwrite transaction on these object stores of yours, or on all. It may await requests of `tx`, and nothing else: a transaction
   * without pending requests ends by itself.
   */
  transaction<T>(lock: Fenced, body: (tx: TransactionOf<Db, NamesOf<Db>[]>) => T): Promise<Awaited<T>>
  transaction<const Names extends readonly NamesOf<Db>[], T>(
    lock: Fenced,
    objectStores: Names,
    body: (tx: TransactionOf<Db, Names>) => T,
  ): Promise<Awaited<T>>
}

/**
 * A store in IndexedDB, shared by the tabs and workers of an origin.
 *
 * @param database the name of a database for locks alone; or your own database, open and prepared by {@link upgradeIndexedDB}; or a function that
 * returns your own open database, or a promise of it. The store never keeps your database open. When you close it, sessions end: their locks are lost
 * and go to the next waiters. If you gave a function, the store then calls it until it returns the reopened database, and goes on with that; if you
 * gave a handle, every call fails with `closed`.
 * @throws TypeError if it is not an open database, or the function cannot return one yet and no `name` was given
 */
export function indexedDBStore<Db extends OpenDatabase = IDBDatabase>(
  database: string | Db | (() => Db | PromiseLike<Db>),
  { durability = 'relaxed', now = Date.now, name: given }: IndexedDBStoreOptions = {},
): IndexedDBStore<Db> {
  const source = sourceOf(database, given)
  const { name } = source
  const wall = wallClock(now)
  const memory = new Memory()
  const { channel, beacon, onDegraded, stalled } = lookAround(name)
  const losers = new Set<(why: string) => void>()
  const lost = (why: string): void => {
    for (const end of [...losers]) end(why)
  }
  const connection = new Connection(source, { lost, stalled, torn: () => beacon?.doubt() })

  let closing: Promise<void> | undefined

  /** The waiting transactions, oldest first, with the time of their start. */
  const underWay = new Set<{ readonly since: number }>()

  const transact = async <T>(mode: IDBTransactionMode, scope: Scope, question: (rows: Rows) => T, again = true): Promise<T> => {
    const turn = { since: performance.now() }
    underWay.add(turn)
    try {
      const tx = await connection.begin(({ db }) => db.transaction(scopes[scope], mode, { durability }))
      return await ask(tx, question, memory)
    } catch (error) {
      if (error === tooNarrow) throw error
      const { anew, retry } = failsAnew(error)
      if (anew) connection.renew()
      if (retry && again) return transact(mode, scope, question, false)
      throw explain(error, name)
    } finally {
      underWay.delete(turn)
    }
  }

  /** Carries out commands of one scope. */
  const carryOut = async ({ scope, commands }: Part): Promise<Outcome[]> => {
    const time = wall()
    const question = (rows: Rows): Outcome[] => {
      const changes = runBatch(commands, {
        now: time,
        get floor() {
          return rows.floor
        },
        record: (key) => rows.record(key),
        remains: (key) => rows.remains(key),
        session: (id) => rows.session(id),
        stale: (after) => (after === undefined ? rows.expired(time) : rows.following(after)),
      })
      rows.write(changes)
      return changes.outcomes
    }
    try {
      return await transact('readwrite', scope, question)
    } catch (error) {
      if (error !== tooNarrow) throw error
      return transact('readwrite', 'change', question)
    }
  }

  /** Removes released locks from the fence, so that the next list is short. A few do no harm, and removing them at each release would be slower. */
  const tidy = async (keys: Set<string>, found: readonly LockView[]): Promise<void> => {
    for (const { key } of found) keys.delete(key)
    const idle = [...keys]
    if (idle.length < fewIdle) return
    for (let at = 0; at < idle.length; at += mostIdle) await transact('readwrite', 'change', (rows) => rows.unfence(idle.slice(at, at + mostIdle)))
  }

  /** A transaction for the user, made by the library that opened the database. */
  const beginTheirs = async (objectStores: readonly string[] | undefined): Promise<OpenTransaction> =>
    connection.begin(({ db, theirs }) => {
      const names = objectStores ?? [...db.objectStoreNames].filter((name) => !name.startsWith('storelock-'))
      return (theirs as IDBDatabase).transaction([...names, fenceStore], 'readwrite', { durability })
    })

  return {
    async apply(commands) {
      // A page that is being left gets no more answers, so writes that need none go first. If there are no other commands, nothing follows: a
      // half-done transaction of a frozen page would block all other tabs.
      const sessions = leaving(commands)
      if (sessions.size) {
        const goodbye = { outcomes: [], records: new Map(), sessions, floor: undefined }
        const said = await transact('readwrite', 'beat', (rows) => rows.write(goodbye)).then(
          () => true,
          (error) => {
            if (connection.isOpen) return false
            throw error
          },
        )
        // Nothing follows either if the database has been closed since: an ended session's commands must not go to the next connection.
        if (said && (sessions.size === commands.length || !connection.isOpen)) return commands.map(() => ({ type: 'ended' }))
      }
      return (await Promise.all(partsOf(commands).map(carryOut))).flat()
    },
    read: (key, reader) => transact('readonly', 'look', (rows) => look(rows, key, reader)),
    rows: (ids) => transact('readonly', 'beat', (rows) => rowsOf(ids, (id) => rows.session(id))),
    async list(prefix = '', part = {}) {
      // A user's long transaction may have locked the fence. It is read in a transaction of its own, so that no heartbeat has to wait.
      const busy = part.busy && (await transact('readonly', 'fence', (rows) => rows.keys(prefix, 'fence')))
      const views = await transact('readonly', 'look', (rows) => (busy || rows.keys(prefix)).flatMap((key) => look(rows, key) ?? []))
      if (!busy) return views
      const found = views.filter((view) => !isEmpty(view))
      // If this fails, the next list does it.
      tidy(new Set(busy), found).catch(() => {})
      return found
    },
    page: (prefix, after, limit) =>
      transact('readonly', 'look', (rows) => rows.keys(prefix, undefined, after, limit).flatMap((key) => look(rows, key) ?? [])),
    channel,
    beacon,
    onDegraded,
    onLost(listener) {
      const own = (why: string): void => listener(why)
      losers.add(own)
      return () => losers.delete(own)
    },
    isBusy() {
      const [first] = underWay
      return first !== undefined && performance.now() < first.since + longestTurn
    },
    check: checkFence,
    async transaction(lock: Fenced, ...rest: unknown[]): Promise<never> {
      const body = rest.pop() as (tx: unknown) => unknown
      lock.assertHeld()
      const failed = (error: unknown): LockError => {
        if (failsAnew(error).anew) connection.renew()
        return explain(error, name)
      }
      const tx = await beginTheirs(rest[0] as readonly string[] | undefined).catch((error) => {
        throw failed(error)
      })
      return (await runFenced(tx, lock, body, failed)) as never
    },
    close() {
      channel?.close()
      closing ??= connection.close()
      return closing
    },
  }
}

interface Part {
  readonly scope: Scope
  readonly commands: Command[]
}

/** Splits a batch, in order, into parts of one scope each: a heartbeat must not wait for an object store that only a request needs. */
function partsOf(commands: readonly Command[]): Part[] {
  const changes = commands.some((command) => scopeOf(command) === 'change')
  const parts: Part[] = []
  for (const command of commands) {
    // The end of a session goes with the changes to its locks: each further transaction takes a millisecond.
    const scope = command.type === 'end' && changes ? 'change' : scopeOf(command)
    const last = parts.at(-1)
    if (last?.scope === scope) last.commands.push(command)
    else parts.push({ scope, commands: [command] })
  }
  return parts
}

const scopeOf = (command: Command): Scope => (!('key' in command) ? 'beat' : command.type === 'renew' ? 'renew' : 'change')

/** The session rows to delete if these commands only end sessions and release what they had. */
const leaving = (commands: readonly Command[]): Map<string, undefined> =>
  new Map(
    commands.every(({ type }) => type === 'end' || type === 'release' || type === 'withdraw')
      ? commands.flatMap((command) => (command.type === 'end' && command.seq === undefined ? [[command.session, undefined]] : []))
      : [],
  )

function look(rows: Rows, key: string, reader?: string): LockView | undefined {
  const record = rows.record(key)
  return record && viewOf(record, (id) => rows.session(id), reader)
}
