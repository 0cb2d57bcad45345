import { type IDBPDatabase, type IDBPTransaction, openDB, type StoreNames } from 'idb'
import { runBatch } from '../protocol/batch.ts'
import { schemaVersion } from '../protocol/codec.ts'
import type { Command, Outcome } from '../protocol/commands.ts'
import { LockError } from '../protocol/errors.ts'
import type { Fenced } from '../protocol/fence.ts'
import { type LockView, viewOf } from '../protocol/record.ts'
import type { FencedStore } from '../store.ts'
import { lookAround } from './indexeddb/around.ts'
import { ask } from './indexeddb/ask.ts'
import { assertIndexedDB, explain } from './indexeddb/fault.ts'
import { checkFence, fenceStore, type OpenTransaction, runFenced } from './indexeddb/fence.ts'
import { Memory } from './indexeddb/memory.ts'
import { bare, type OpenDatabase, type Rows, type Scope, scopes, tooNarrow, upgradeIndexedDB } from './indexeddb/rows.ts'

export { type FenceSchema, fenceStore, type OpenTransaction } from './indexeddb/fence.ts'
export { type OpenDatabase, upgradeIndexedDB } from './indexeddb/rows.ts'

export interface IndexedDBStoreOptions {
  /** `relaxed` resolves when the system has a change, `strict` when the disk has it. Default `relaxed`. */
  durability?: IDBTransactionDurability
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: () => number
}

/** The names of a database's own object stores. */
export type NamesOf<Db> = Db extends IDBPDatabase<infer Schema> ? StoreNames<Schema> : string

/** A transaction of a database, typed as its library types it. */
export type TransactionOf<Db, Names extends readonly NamesOf<Db>[]> =
  Db extends IDBPDatabase<infer Schema>
    ? Names extends readonly StoreNames<Schema>[]
      ? IDBPTransaction<Schema, [...Names], 'readwrite'>
      : never
    : IDBTransaction

export interface IndexedDBStore<Db> extends FencedStore<TransactionOf<Db, NamesOf<Db>[]>> {
  /**
   * Checks a lock in a readwrite transaction of yours that includes {@link fenceStore}, and aborts it unless the lock is held.
   * Need not be waited for: nothing is committed before the check has passed.
   */
  check(tx: OpenTransaction, lock: Fenced): Promise<void>
  /**
   * Runs `body` in a readwrite transaction on these object stores of yours, or on all. It may wait for what it asks of `tx`, and for
   * nothing else: a transaction that is not asked anything ends by itself.
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
 * @param database the name of a database for locks alone; or your own, open and prepared by {@link upgradeIndexedDB}.
 * Yours stays yours: nothing keeps it open, and once you have closed it the store fails.
 */
export function indexedDBStore<Db extends OpenDatabase = IDBDatabase>(
  database: string | Db,
  { durability = 'relaxed', now = Date.now }: IndexedDBStoreOptions = {},
): IndexedDBStore<Db> {
  const named = typeof database === 'string'
  const name = named ? database : database.name
  let connection: Promise<IDBDatabase> | undefined
  let closed = false
  const memory = new Memory()
  const { channel, beacon, onDegraded } = lookAround(name)

  const open = async (): Promise<IDBDatabase> => {
    if (named) assertIndexedDB(name)
    // Whoever deletes or upgrades the database must not wait for us.
    const blocking = (_from: number, _to: number | null, { target }: Event) => (target as IDBDatabase).close()
    const db = bare(named ? await openDB(name, schemaVersion, { upgrade: upgradeIndexedDB, blocking }) : database)
    const fault = await faultOf(db)
    if (!fault) return db
    if (named) db.close()
    throw new LockError('store', `IndexedDB "${name}" ${fault}`)
  }

  /** Begins a transaction on the open database. */
  const begin = async <T>(start: (db: IDBDatabase) => T, again = named): Promise<T> => {
    if (closed) throw new LockError('closed', 'the store was closed')
    connection ??= open()
    const opening = connection
    const giveUp = (error: unknown): never => {
      if (connection === opening) connection = undefined
      throw error
    }
    const db = await opening.catch(giveUp)
    try {
      return start(db)
    } catch (error) {
      if ((error as Error).name !== 'InvalidStateError') throw error
      // A database that was closed, by the browser or to make way, is opened again.
      if (!again) return giveUp(error)
      if (connection === opening) connection = undefined
      return begin(start, false)
    }
  }

  const transact = async <T>(mode: IDBTransactionMode, scope: Scope, question: (rows: Rows) => T): Promise<T> => {
    try {
      const tx = await begin((db) => db.transaction(scopes[scope], mode, { durability }))
      return await ask(tx, question, memory)
    } catch (error) {
      throw error === tooNarrow ? error : explain(error, name)
    }
  }

  /** Carries out commands of one scope. */
  const carryOut = async ({ scope, commands }: Part): Promise<Outcome[]> => {
    const time = now()
    const question = (rows: Rows): Outcome[] => {
      const changes = runBatch(commands, {
        now: time,
        get floor() {
          return rows.floor
        },
        record: (key) => rows.record(key),
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

  /** A transaction for the user, as the library types it that opened the database. */
  const beginTheirs = (objectStores: readonly string[] | undefined): Promise<OpenTransaction> =>
    begin((db) => {
      const names = objectStores ?? [...db.objectStoreNames].filter((name) => !name.startsWith('storelock-'))
      const theirs = named ? db : (database as unknown as IDBDatabase)
      return theirs.transaction([...names, fenceStore], 'readwrite', { durability })
    })

  return {
    async apply(commands) {
      // A page that is being left hears no answer any more, so what needs none goes first. Where that is all, nothing follows:
      // a transaction that is half done when the page is frozen holds up everyone else.
      const sessions = leaving(commands)
      if (sessions.size) {
        const goodbye = { outcomes: [], records: new Map(), sessions, floor: undefined }
        const said = await transact('readwrite', 'beat', (rows) => rows.write(goodbye)).then(
          () => true,
          () => false,
        )
        if (said && sessions.size === commands.length) return commands.map(() => ({ type: 'ended' }))
      }
      return (await Promise.all(partsOf(commands).map(carryOut))).flat()
    },
    read: (key, reader) => transact('readonly', 'look', (rows) => look(rows, key, reader)),
    list: (prefix = '') => transact('readonly', 'look', (rows) => rows.keys(prefix).flatMap((key) => look(rows, key) ?? [])),
    channel,
    beacon,
    onDegraded,
    check: checkFence,
    async transaction(lock: Fenced, ...rest: unknown[]): Promise<never> {
      const body = rest.pop() as (tx: unknown) => unknown
      lock.assertHeld()
      const tx = await beginTheirs(rest[0] as readonly string[] | undefined).catch((error) => {
        throw explain(error, name)
      })
      return (await runFenced(tx, lock, body, (error) => explain(error, name))) as never
    },
    async close() {
      closed = true
      channel?.close()
      if (named) connection?.then((db) => db.close()).catch(() => {})
    },
  }
}

interface Part {
  readonly scope: Scope
  readonly commands: Command[]
}

/** A batch in parts that each need no more than their scope, in order: a heartbeat must not wait for what a request waits for. */
function partsOf(commands: readonly Command[]): Part[] {
  const changes = commands.some((command) => scopeOf(command) === 'change')
  const parts: Part[] = []
  for (const command of commands) {
    // The end of a session goes with what is done to its locks: each transaction more takes a millisecond.
    const scope = command.type === 'end' && changes ? 'change' : scopeOf(command)
    const last = parts.at(-1)
    if (last?.scope === scope) last.commands.push(command)
    else parts.push({ scope, commands: [command] })
  }
  return parts
}

const scopeOf = (command: Command): Scope => (!('key' in command) ? 'beat' : command.type === 'renew' ? 'renew' : 'change')

/** The rows to delete if these commands are a goodbye: they end sessions, and let go of what those had. */
const leaving = (commands: readonly Command[]): Map<string, undefined> =>
  new Map(
    commands.every(({ type }) => type === 'end' || type === 'release' || type === 'withdraw')
      ? commands.flatMap((command) => (command.type === 'end' && command.seq === undefined ? [[command.session, undefined]] : []))
      : [],
  )

/** Why a database cannot be used, if so. */
async function faultOf(db: IDBDatabase): Promise<string | undefined> {
  if (!scopes.change.every((store) => db.objectStoreNames.contains(store))) {
    return 'lacks the object stores for locks: call upgradeIndexedDB(db) in its upgrade callback'
  }
  const version = await ask(db.transaction(scopes.renew), (rows) => rows.version())
  return version && version > schemaVersion ? `was made by a newer storelock (format ${version}): update storelock` : undefined
}

function look(rows: Rows, key: string, reader?: string): LockView | undefined {
  const record = rows.record(key)
  return record && viewOf(record, (id) => rows.session(id), reader)
}
