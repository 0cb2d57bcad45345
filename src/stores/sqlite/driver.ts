import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { LockError, type Outcome, storeError } from '../../protocol/index.ts'
import { inodeOf } from './file.ts'

/** The parts of an open database that the store uses. better-sqlite3's `Database` and node:sqlite's `DatabaseSync` have them. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
  /** better-sqlite3: whether the connection is in a transaction. */
  readonly inTransaction?: boolean | undefined
  /** node:sqlite: the same, in newer versions. */
  readonly isTransaction?: boolean | undefined
  /** better-sqlite3: whether nothing can be written through it. */
  readonly readonly?: boolean | undefined
}

export interface SqliteStatement {
  // biome-ignore lint/suspicious/noExplicitAny: the drivers disagree on the type of what may be bound
  get(...values: any[]): unknown
  // biome-ignore lint/suspicious/noExplicitAny: as above
  all(...values: any[]): unknown[]
  // biome-ignore lint/suspicious/noExplicitAny: as above
  run(...values: any[]): { readonly changes: number | bigint }
}

/**
 * Writes other rows in the transaction of some commands, given their outcomes, so that both are committed together. If the transaction has to be
 * repeated, this function is called again; if it throws, the transaction is rolled back.
 */
export type Alongside = (db: SqliteDatabase, outcomes: readonly Outcome[]) => void

export interface Connection {
  readonly db: SqliteDatabase
  /** Whether the connection is ours alone, so that we close it. */
  readonly own: boolean
  /** '' for a database in memory. */
  readonly file: string
  /** Opens another connection to the file, with the same copy of SQLite: a second copy would break the first one's file locks. */
  connect(): SqliteDatabase
  /** Opens or creates another database for our own use. */
  openBeside(path: string): SqliteDatabase
}

/** Opens the file at a path, with the options of your handle. */
export type OpenDatabase = (path: string) => SqliteDatabase

type Driver = new (path: string, options?: { readonly: true } | { readOnly: true }) => SqliteDatabase

/**
 * Opens a connection of our own to a file. If the database has no file, returns the user's handle.
 * @param open is called instead of the driver's constructor
 * @throws LockError `store` that says what to do
 */
export function openConnection(database: string | SqliteDatabase, open?: OpenDatabase): Connection {
  if (!database || (typeof database !== 'string' && typeof database.prepare !== 'function')) {
    throw new TypeError('sqliteStore needs a path, or an open database of better-sqlite3 or node:sqlite')
  }
  if (open !== undefined && typeof open !== 'function') throw new TypeError('open must be a function that opens the database at a path')
  const path = typeof database === 'string' ? pathOf(database) : database
  try {
    const db = typeof path === 'string' ? openPath(path, open) : reopen(path, open)
    const file = fileOf(db)
    return {
      db: db === database ? db : patient(db),
      own: db !== database,
      file,
      connect: () => patient(open ? openBy(open, file) : openLike(db, file)),
      openBeside: (other) => openBeside(db, other, open),
    }
  } catch (error) {
    if (error instanceof TypeError) throw error
    throw storeError(error, `cannot open the SQLite database ${typeof database === 'string' ? database : 'of this handle'}`)
  }
}

/**
 * The path that a text names, the same with every driver: some drivers accept URLs, others create a file of that name.
 * @throws TypeError for a URL that is not a `file:` URL, or has parameters
 */
function pathOf(text: string): string {
  const [, scheme = ''] = /^([a-z][a-z\d+.-]+):/i.exec(text) ?? []
  if (!scheme || text === ':memory:') return text
  if (scheme.toLowerCase() !== 'file') {
    throw new TypeError(`${text} is not a path or a file: URL; for a file of this name write ./${text}`)
  }
  // A relative URL is relative to the working directory, as with SQLite itself.
  const url = new URL(text, pathToFileURL(join(process.cwd(), 'x')))
  if (url.search || url.hash) throw new TypeError(`${text} has parameters: open the database with your driver, and give sqliteStore the handle`)
  return fileURLToPath(url)
}

/** Turns off SQLite's own waiting, because it blocks the process; the store itself waits. */
function patient(db: SqliteDatabase): SqliteDatabase {
  db.exec('PRAGMA busy_timeout = 0')
  return db
}

/** A connection of our own through the handle's driver; the handle itself if there is no file. */
function reopen(handle: SqliteDatabase, open: OpenDatabase | undefined): SqliteDatabase {
  const file = fileOf(handle)
  if (!file) return handle
  // Opening would create a new file.
  if (!existsSync(file)) throw new Error(`${file} was moved or deleted`)
  if (open) return openBy(open, file)
  let db: SqliteDatabase | undefined
  try {
    db = openLike(handle, file)
    // This first read of the contents shows whether the driver needs more to open the file.
    patient(db).prepare('PRAGMA schema_version').get()
    return db
  } catch (error) {
    if (db && isBusy(error)) return db
    db?.close()
    const [why, cause] = [(error as Error).message, error]
    throw new LockError('store', `cannot open ${file} once more as its handle does (${why}): say how by sqliteStore(handle, { open: (path) => … })`, {
      cause,
    })
  }
}

/** Opens or creates another database with the driver of this connection. A read-only connection opens only read-only ones. */
const openLike = (db: SqliteDatabase, path: string): SqliteDatabase => {
  const Database = db.constructor as Driver
  return db.readonly === true ? new Database(path, { readonly: true }) : new Database(path)
}

/** Small files of our own need no key. But if the driver's native code is elsewhere, only the user's `open` can find it. */
function openBeside(db: SqliteDatabase, path: string, open: OpenDatabase | undefined): SqliteDatabase {
  try {
    return new (db.constructor as Driver)(path)
  } catch (error) {
    if (!open) throw error
    return openBy(open, path)
  }
}

function openBy(open: OpenDatabase, path: string): SqliteDatabase {
  const db = open(path)
  const file = fileOf(db)
  if (inodeOf(file) === inodeOf(path)) return db
  db.close()
  throw new TypeError(`'open' should have opened ${path}, but opened ${file || 'no file'}`)
}

/**
 * Drivers in the order of preference. They are loaded when they are needed, in a way that no bundler follows: a driver that is not installed must not
 * break a build.
 */
const drivers: readonly (() => Driver | undefined)[] = [
  () => requireFrom('better-sqlite3') as Driver,
  () => process.getBuiltinModule?.('node:sqlite')?.DatabaseSync as Driver | undefined,
]

/** Loads a package from this file's folder; or, if a bundler has moved this file, from the program's folder. */
function requireFrom(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module')
  // A CommonJS bundle has no `import.meta.url`, and webpack sets it to the URL of a source file that may not exist.
  const places = [import.meta.url, process.argv[1], join(process.cwd(), 'x')].filter((place) => typeof place === 'string' && place !== '')
  let missing: unknown
  for (const place of places) {
    try {
      return createRequire(place as string)(name)
    } catch (error) {
      if (!isMissing(error)) throw error
      missing ??= error
    }
  }
  throw missing
}

function openPath(path: string, open: OpenDatabase | undefined): SqliteDatabase {
  const folder = dirname(path)
  if (!existsSync(folder)) throw new LockError('store', `cannot open the SQLite database ${path}: create the directory ${folder} first`)
  if (open) return openBy(open, path)
  return openByDriver((Database) => new Database(path))
}

/** Opens a file read-only, with a driver that we choose. SQLite does not wait while the file is busy: the caller has to. */
export function openToRead(path: string): SqliteDatabase {
  // Each driver spells the option in its own way, and better-sqlite3 refuses the other spelling.
  return patient(openByDriver((Database, isBuiltIn) => new Database(path, isBuiltIn ? { readOnly: true } : { readonly: true })))
}

/** @param open uses a driver's constructor; `isBuiltIn` says whether that is `node:sqlite` */
function openByDriver(open: (Database: Driver, isBuiltIn: boolean) => SqliteDatabase): SqliteDatabase {
  let missing: unknown
  for (const [index, load] of drivers.entries()) {
    try {
      const Database = load()
      if (Database) return open(Database, index > 0)
    } catch (error) {
      if (!isMissing(error)) throw error
      missing = error
    }
  }
  throw new LockError('store', 'this runtime has no SQLite: npm install better-sqlite3, or use Node 22.13 or newer', { cause: missing })
}

/** Whether a package is not installed, or was built for another runtime. */
const isMissing = (error: unknown): boolean =>
  ['MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED', 'ERR_INVALID_ARG_VALUE'].includes(String((error as { code: unknown }).code))

/** The file of an open database as SQLite itself names it, with any driver. */
function fileOf(database: SqliteDatabase): string {
  const databases = database.prepare('PRAGMA database_list').all() as { name: string; file: string | null }[]
  return databases.find(({ name }) => name === 'main')?.file ?? ''
}

const busy = 5
const locked = 6

/** Whether an error only says that another connection or statement is using the database. */
export function isBusy(error: unknown): boolean {
  const { code, errcode, message } = error as { code?: unknown; errcode?: unknown; message?: unknown }
  return (
    /^SQLITE_(BUSY|LOCKED)/.test(String(code)) ||
    (typeof errcode === 'number' && [busy, locked].includes(errcode & 0xff)) ||
    // We share this handle with its user, who is in the middle of a statement.
    /within a transaction|busy executing a query/.test(String(message))
  )
}
