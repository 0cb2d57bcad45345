import { assertStep, bodyOf, type Checked, type Command, type Fenced, LockError, type Outcome, storeError, wallClock } from '../protocol/index.ts'
import type { FencedStore } from '../store.ts'
import { isBusy, type OpenDatabase, openConnection, type SqliteDatabase } from './sqlite/driver.ts'
import { inTransaction, makeFence, protect } from './sqlite/fence.ts'
import { guardFile, inodeOf, pathFault } from './sqlite/file.ts'
import { whenIdle } from './sqlite/idle.ts'
import { meetNeighbours } from './sqlite/neighbours.ts'
import { areDropped, setUp } from './sqlite/schema.ts'
import { openTables, type Tables } from './sqlite/tables.ts'
import { transactions, type Within } from './sqlite/transaction.ts'

export type { SqliteDatabase, SqliteStatement } from './sqlite/driver.ts'

export interface SqliteStoreOptions {
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: () => number
  /**
   * Opens the database at a path as your handle was opened, where its driver's constructor alone does not: with a `nativeBinding`, a key, an extension; or
   * read-only, where `node:sqlite` opened it, which does not tell.
   * It is called for the store's own connections, which your handle stays apart from; what it sets must not stay in the file.
   */
  open?: OpenDatabase
}

export interface SqliteStore<Db> extends FencedStore<Db> {
  /** The database's file as SQLite names it; '' for one in memory. */
  readonly file: string
  /** Opens another connection to that file, with the store's own driver, which its caller closes. */
  connect(): SqliteDatabase
}

/** Connections that must not be closed before the process ends: another copy of SQLite in it has the same file open. */
const unclosable: SqliteDatabase[] = []

/** Whether a command is of a session that holds something. */
const isOfHolder = (command: Command): boolean =>
  command.type === 'renew' || command.type === 'release' || (command.type === 'beat' && !command.opens)

interface Batch {
  readonly commands: readonly Command[]
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

/**
 * A store in a SQLite file, for all processes of one machine that open it. Of an open handle it uses the file, through
 * a connection of its own; a database without a file it uses through the handle, outside its user's transactions.
 *
 * @param database a path or `file:` URL, opened in WAL mode; or your open handle, of which nothing is changed but our tables, `storelock_…`
 * Fenced transactions run on your handle; for a path, on another connection to it.
 * @throws LockError `store` if the database cannot be opened
 */
export function sqliteStore(path: string, options?: SqliteStoreOptions): SqliteStore<SqliteDatabase>
export function sqliteStore<Db extends SqliteDatabase>(database: Db, options?: SqliteStoreOptions): SqliteStore<Db>
export function sqliteStore(
  database: string | SqliteDatabase,
  { now = Date.now, open: openDatabase }: SqliteStoreOptions = {},
): SqliteStore<SqliteDatabase> {
  const connection = openConnection(database, openDatabase)
  const { db, own, file, connect } = connection
  const guard = guardFile(file)
  const waiting: Batch[] = []
  let hurry = (): void => {}
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
    for (const end of [...losers]) end('somebody dropped the tables of the locks')
  }

  /** Does something with our tables, which are made anew where somebody has dropped them. */
  const withTables = <T>(step: (tables: Tables) => T): T => {
    const found = open()
    try {
      return step(found)
    } catch (error) {
      if (!areDropped(error)) throw error
      tables = undefined
      // Once this is over: what ends says so, to this store.
      queueMicrotask(lost)
      return step(open())
    }
  }

  const closeOwn = (...connections: readonly SqliteDatabase[]): void => {
    if (guard.isShared()) unclosable.push(...connections)
    else for (const connection of connections) connection.close()
  }

  const explain = (error: unknown): LockError => storeError(error, `the SQLite database ${file || 'in memory'}`)

  /** Carries out all batches that wait, in order, as one. */
  const serve = (): Outcome[] => {
    const batch = waiting.length === 1 ? (waiting[0] as Batch).commands : waiting.flatMap(({ commands }) => commands)
    open()
    const beats = batch.some(({ type }) => type === 'beat')
    if (beats) guard.assertSound()
    else if (batch.some(({ type }) => type === 'request')) guard.assertRecently()
    const outcomes = withTables((tables) => {
      if (beats) tables.assertThere()
      return tables.apply(batch, wall())
    })
    // It may be kept in another way since we opened it.
    if (beats) guard.noteLog()
    return outcomes
  }

  const answer = (outcomes: Outcome[]): void => {
    for (const { commands, resolve } of waiting.splice(0)) resolve(outcomes.splice(0, commands.length))
  }

  /** What keeps a lock, or frees one, comes before requests. */
  const isUrgent = (): boolean => waiting.some(({ commands }) => commands.some(isOfHolder))

  const fail = (error: unknown): void => {
    for (const { reject } of waiting.splice(0)) reject(explain(error))
  }

  /** The user's handle; where we were given a path, a second connection, since the first one is kept as fast as a lock allows. */
  const handle = (): NonNullable<typeof fencing> => {
    if (!fencing) {
      const tx = typeof database !== 'string' ? database : file ? connect() : db
      fencing = { tx, within: transactions(tx) }
    }
    return fencing
  }

  /** Writes a command of the lock's own with the transaction that it guards. */
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
  /** Has idle records out of the way of the next who looks for busy ones, a few at a time. */
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
        // The next who looks tries it again; where nothing may be written, in vain.
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
    // Where it is only busy, the first call makes the tables.
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
    apply: (commands) =>
      new Promise((resolve, reject) => {
        if (waiting.push({ commands, resolve, reject }) === 1) hurry = whenIdle(serve, answer, fail, { isUrgent })
        else hurry()
      }),
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
    // It answers at once, unless somebody's transaction keeps it from that.
    isBusy: () => true,
    check,
    async transaction<T>(lock: Fenced, body: (tx: SqliteDatabase) => T): Promise<Awaited<T>> {
      open()
      const { tx, within } = handle()
      if (inTransaction(tx)) throw new LockError('invalid', 'this connection is in a transaction already: use check() inside it instead')
      let begun = false
      const theirs = bodyOf((handle: SqliteDatabase) => {
        const result = body(handle)
        assertStep(result)
        return result
      })
      let checked: Checked | undefined
      let renewed: Outcome | undefined
      const step = (): T => {
        open()
        lock.assertHeld()
        guard.assertRecently()
        return within('write', () => {
          begun = true
          fence.assertNamed(tx, lock)
          checked = lock.checked?.(true)
          const result = theirs.run(tx)
          const renewal = checked?.renewal()
          if (renewal) renewed = applyWithin(renewal)
          return result
        })
      }
      // Only the beginning is tried again: the body may have done more than write.
      return await new Promise<Awaited<T>>((resolve, reject) => {
        whenIdle(
          step,
          (result) => {
            // Before any timer, which would find the lock's time over.
            const wait = checked?.over(renewed)
            const done = (): void => resolve(result as Awaited<T>)
            if (wait) wait.then(done)
            else done()
          },
          (error) => {
            checked?.over()
            reject(theirs.threw(error) ? error : explain(error))
          },
          { mayPass: (error) => !begun && isBusy(error), isUrgent: () => true },
        )
      })
    },
    close() {
      closing ??= close()
      return closing
    },
  }
}
