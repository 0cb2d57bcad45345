import { type Command, type Fenced, LockError, type Outcome, storeError, wallClock } from '../protocol/index.ts'
import type { FencedStore } from '../store.ts'
import { makeBatches } from './sqlite/batches.ts'
import { type Alongside, isBusy, type OpenDatabase, openConnection, type SqliteDatabase } from './sqlite/driver.ts'
import { inTransaction, makeFence, protect } from './sqlite/fence.ts'
import { runFenced } from './sqlite/fenced.ts'
import { guardFile, inodeOf, pathFault } from './sqlite/file.ts'
import { whenIdle } from './sqlite/idle.ts'
import { meetNeighbours } from './sqlite/neighbours.ts'
import { areDropped, setUp } from './sqlite/schema.ts'
import { isBeat, openTables, type Tables } from './sqlite/tables.ts'
import { transactions, type Within } from './sqlite/transaction.ts'

export type { Alongside, SqliteDatabase, SqliteStatement } from './sqlite/driver.ts'

export interface SqliteStoreOptions {
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
  /**
   * Opens the database at a path with the options of your handle. You need it if the driver's constructor alone cannot do that: if the handle has a
   * `nativeBinding`, a key or an extension, or is a read-only one of `node:sqlite`, which cannot be detected. The store calls it for its own
   * connections, which are separate from your handle; it must not set anything that stays in the file.
   */
  open?: OpenDatabase | undefined
}

export interface SqliteStore<Db> extends FencedStore<Db> {
  /** @param alongside writes other rows in the same transaction */
  apply(commands: readonly Command[], alongside?: Alongside): Promise<Outcome[]>
  /** The database's file as SQLite names it; '' for a database in memory. */
  readonly file: string
  /** Opens another connection to that file, with the store's own driver. The caller closes it. */
  connect(): SqliteDatabase
}

/** Connections that must not be closed before the process ends, because another copy of SQLite in it has the same file open. */
const unclosable: SqliteDatabase[] = []

const isRequest = ({ type }: Command): boolean => type === 'request'

/**
 * A store in a SQLite file, shared by all processes of one machine that open it. If you pass an open handle, the store uses a connection of its own
 * to the same file; a database without a file is used through the handle, outside your transactions.
 *
 * @param database a path or `file:` URL, opened in WAL mode; or your open handle: in its database the store only touches its own tables,
 * `storelock_…`. Fenced transactions run on your handle; for a path, on another connection to it.
 * @throws LockError `store` if the database cannot be opened
 */
export function sqliteStore(database: string, options?: SqliteStoreOptions): SqliteStore<SqliteDatabase>
export function sqliteStore<Db extends SqliteDatabase>(database: Db, options?: SqliteStoreOptions): SqliteStore<Db>
export function sqliteStore(
  database: string | SqliteDatabase,
  { now = Date.now, open: openDatabase }: SqliteStoreOptions = {},
): SqliteStore<SqliteDatabase> {
  const connection = openConnection(database, openDatabase)
  const { db, own, file, connect } = connection
  const guard = guardFile(file)
  let tables: Tables | undefined
  let closed = false
  let closing: Promise<void> | undefined
  const wall = wallClock(now)
  let fencing: { readonly tx: SqliteDatabase; readonly within: Within; tables?: Tables } | undefined
  const fence = makeFence(db, file)

  const open = (): Tables => {
    if (closed) throw new LockError('closed', 'the store was closed')
    if (tables) return tables
    const within = transactions(db)
    setUp(db, within, typeof database === 'string')
    const opened = openTables(db, within, own)
    guard.noteLog()
    guard.assertSound()
    tables = opened
    return opened
  }

  const losers = new Set<(why: string) => void>()
  const lost = (): void => {
    for (const end of [...losers]) end('somebody dropped the tables of storelock')
  }

  /** Runs a step on our tables. If they were dropped, creates them again. */
  const withTables = <T>(step: (tables: Tables) => T): T => {
    const found = open()
    try {
      return step(found)
    } catch (error) {
      if (!areDropped(error)) throw error
      tables = undefined
      // In a microtask, because sessions that end send commands to this store.
      queueMicrotask(lost)
      return step(open())
    }
  }

  const closeOwn = (...connections: readonly SqliteDatabase[]): void => {
    if (guard.isShared()) unclosable.push(...connections)
    else for (const connection of connections) connection.close()
  }

  const explain = (error: unknown): LockError => storeError(error, `the SQLite database ${file || 'in memory'}`)

  const apply = makeBatches(
    db,
    (commands, again, alongside) => {
      open()
      const beats = commands.some(isBeat)
      if (beats && !again) guard.assertSound()
      else if (beats || commands.some(isRequest)) guard.assertRecently()
      const outcomes = withTables((tables) => tables.apply(commands, wall(), alongside))
      // The journal mode may have changed since we opened the database.
      if (beats) guard.noteLog()
      return outcomes
    },
    explain,
  )

  /** The user's handle; for a path, a second connection, since the settings of the first are only as durable as a lock needs. */
  const handle = (): NonNullable<typeof fencing> => {
    if (!fencing) {
      const tx = typeof database !== 'string' ? database : file ? connect() : db
      fencing = { tx, within: transactions(tx) }
    }
    return fencing
  }

  /** Carries out a command about a lock in the transaction that the lock fences. */
  const applyWithin = (command: Command): Outcome | undefined => {
    const fencing = handle()
    fencing.tables ??= fencing.tx === db ? open() : openTables(fencing.tx, fencing.within, false)
    return fencing.tables.applyWithin([command], wall())[0]
  }

  const check = (tx: SqliteDatabase, lock: Fenced): void => {
    if (inTransaction(tx) === false) {
      throw new TypeError('check() guards the transaction that it runs in, and none was begun: begin one first, or use transaction()')
    }
    open()
    lock.assertHeld()
    guard.assertRecently()
    fence.take(tx, lock)
    fence.assertNamed(tx, lock)
    protect(tx, lock)
  }

  const look = <T>(step: (tables: Tables) => T): Promise<T> =>
    new Promise((resolve, reject) => {
      const inFile = (): T => {
        open()
        guard.assertFile()
        return withTables(step)
      }
      whenIdle(inFile, resolve, (error) => reject(explain(error)))
    })

  let putting = false
  /** Moves idle records away, a few at a time, so that the next list of busy ones is short. */
  const putApart = (): void => {
    if (putting) return
    putting = true
    const over = (): void => {
      putting = false
    }
    const some = (): unknown =>
      whenIdle(
        () => open().putApart(wall()),
        (more) => (more ? setImmediate(some) : over()),
        // The next list tries again, and fails again if nothing may be written.
        over,
      )
    setImmediate(some)
  }

  const close = async (): Promise<void> => {
    closed = true
    const parted = neighbours?.close()
    if (own) closeOwn(db, ...(fencing && fencing.tx !== database && fencing.tx !== db ? [fencing.tx] : []))
    await parted
  }

  try {
    const fault = file && pathFault(file)
    if (fault) throw new LockError('store', `the SQLite database ${file} ${fault}`)
    open()
  } catch (error) {
    // If the database is only busy, the first call creates the tables.
    if (!isBusy(error)) {
      if (own) closeOwn(db)
      throw explain(error)
    }
  }

  const identity = own ? inodeOf(file) : undefined
  const neighbours = identity ? meetNeighbours(connection, identity, guard) : undefined

  return {
    file,
    connect,
    ...(neighbours && { channel: neighbours.channel, beacon: neighbours.beacon, onDegraded: neighbours.onDegraded }),
    apply,
    read: (key, reader) => look((tables) => tables.read(key, reader)),
    rows: (sessions) => look((tables) => tables.rows(sessions)),
    async list(prefix = '', part = {}) {
      const views = await look((tables) => tables.list(prefix, part))
      if (part.busy) putApart()
      return views
    },
    async page(prefix, after, limit, part = {}) {
      const views = await look((tables) => tables.page(prefix, after, limit, part))
      if (part.busy) putApart()
      return views
    },
    onLost(listener) {
      const own = (why: string): void => listener(why)
      losers.add(own)
      return () => void losers.delete(own)
    },
    // The store answers at once, unless another transaction blocks it.
    isBusy: () => true,
    check,
    async transaction<T>(lock: Fenced, body: (tx: SqliteDatabase) => T): Promise<Awaited<T>> {
      open()
      const { tx, within } = handle()
      const assertMay = (): void => {
        open()
        lock.assertHeld()
        guard.assertRecently()
      }
      return await runFenced({ tx, within, assertMay, assertNamed: () => fence.assertNamed(tx, lock), applyWithin, explain }, lock, body)
    },
    close() {
      closing ??= close()
      return closing
    },
  }
}
