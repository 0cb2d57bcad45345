import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { LockError, storeError } from '../../protocol/index.ts'

/** What is needed of an open database: better-sqlite3's `Database` and node:sqlite's `DatabaseSync` have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
  /** better-sqlite3's word for being in a transaction. */
  readonly inTransaction?: boolean
  /** That of node:sqlite, where it has one. */
  readonly isTransaction?: boolean
}

export interface SqliteStatement {
  // biome-ignore lint/suspicious/noExplicitAny: the drivers disagree on the type of what may be bound
  get(...values: any[]): unknown
  // biome-ignore lint/suspicious/noExplicitAny: as above
  all(...values: any[]): unknown[]
  // biome-ignore lint/suspicious/noExplicitAny: as above
  run(...values: any[]): { readonly changes: number | bigint }
}

export interface Connection {
  readonly db: SqliteDatabase
  /** Whether it is ours alone, to be closed by us. */
  readonly own: boolean
  /** '' for a database in memory. */
  readonly file: string
  /** Opens another connection to the file, with the same copy of SQLite: a second one would take away the first one's locks. */
  connect(): SqliteDatabase
}

type Driver = new (path: string) => SqliteDatabase

/**
 * A connection of our own to a file; or the user's handle, if its database has no file to open.
 * @throws LockError `store` that says what to do
 */
export function openConnection(database: string | SqliteDatabase): Connection {
  if (!database || (typeof database !== 'string' && typeof database.prepare !== 'function')) {
    throw new TypeError('sqliteStore needs a path, or an open database of better-sqlite3 or node:sqlite')
  }
  try {
    const db = typeof database === 'string' ? openPath(database) : reopen(database)
    const file = fileOf(db)
    const connect = (): SqliteDatabase => patient(openLike(db, file))
    return { db: db === database ? db : patient(db), own: db !== database, file, connect }
  } catch (error) {
    throw storeError(error, `cannot open the SQLite database ${typeof database === 'string' ? database : 'of this handle'}`)
  }
}

/** We wait ourselves: SQLite's way of waiting stops the process. */
function patient(db: SqliteDatabase): SqliteDatabase {
  db.exec('PRAGMA busy_timeout = 0')
  return db
}

/** A connection of our own through the handle's own driver; the handle itself if there is no file to open. */
function reopen(handle: SqliteDatabase): SqliteDatabase {
  const file = fileOf(handle)
  if (!file) return handle
  // Opening would make a new one.
  if (!existsSync(file)) throw new Error(`${file} was moved or deleted`)
  return openLike(handle, file)
}

/** Opens another database, or makes an empty one, with the driver of this connection. */
export const openLike = (db: SqliteDatabase, path: string): SqliteDatabase => new (db.constructor as Driver)(path)

const require = createRequire(import.meta.url)

/** In the order of preference. */
const drivers: readonly (() => Driver | undefined)[] = [
  () => require('better-sqlite3'),
  () => process.getBuiltinModule?.('node:sqlite')?.DatabaseSync as Driver | undefined,
]

function openPath(path: string): SqliteDatabase {
  const folder = dirname(path)
  if (!existsSync(folder)) throw new LockError('store', `cannot open the SQLite database ${path}: create the directory ${folder} first`)
  let missing: unknown
  for (const load of drivers) {
    try {
      const Database = load()
      if (Database) return new Database(path)
    } catch (error) {
      if (!isMissing(error)) throw error
      missing = error
    }
  }
  throw new LockError('store', 'this runtime has no SQLite: npm install better-sqlite3, or use Node 22.13 or newer', { cause: missing })
}

/** Whether a package is not installed, or was built for another runtime. */
const isMissing = (error: unknown): boolean => ['MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED'].includes(String((error as { code: unknown }).code))

/** The file of an open database as SQLite itself names it, whatever the driver. */
function fileOf(database: SqliteDatabase): string {
  const databases = database.prepare('PRAGMA database_list').all() as { name: string; file: string | null }[]
  return databases.find(({ name }) => name === 'main')?.file ?? ''
}

const busy = 5
const locked = 6

/** Whether an error only says that someone else is at the database. */
export function isBusy(error: unknown): boolean {
  const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown }
  return (
    /^SQLITE_(BUSY|LOCKED)/.test(String(code)) ||
    (typeof errcode === 'number' && [busy, locked].includes(errcode & 0xff)) ||
    // A handle that we share with its user, who is in the middle of something.
    /within a transaction|busy executing a query/.test(String(message))
  )
}
