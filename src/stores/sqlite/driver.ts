import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { LockError, storeError } from '../../protocol/index.ts'
import { inodeOf } from './file.ts'

/** What is needed of an open database: better-sqlite3's `Database` and node:sqlite's `DatabaseSync` have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
  /** better-sqlite3's word for being in a transaction. */
  readonly inTransaction?: boolean
  /** That of node:sqlite, where it has one. */
  readonly isTransaction?: boolean
  /** Whether nothing can be written through it, as better-sqlite3 tells. */
  readonly readonly?: boolean
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
  /** Opens another database, or makes an empty one, for ourselves. */
  openBeside(path: string): SqliteDatabase
}

/** Opens the file at a path, with all that your handle was opened with. */
export type OpenDatabase = (path: string) => SqliteDatabase

type Driver = new (path: string, options?: { readonly: true }) => SqliteDatabase

/**
 * A connection of our own to a file; or the user's handle, if its database has no file to open.
 * @param open in the place of the driver's constructor
 * @throws LockError `store` that says what to do
 */
export function openConnection(database: string | SqliteDatabase, open?: OpenDatabase): Connection {
  if (!database || (typeof database !== 'string' && typeof database.prepare !== 'function')) {
    throw new TypeError('sqliteStore needs a path, or an open database of better-sqlite3 or node:sqlite')
  }
  if (open !== undefined && typeof open !== 'function') throw new TypeError('open is a function that opens the database at a path')
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
 * The path that a text names, the same with every driver: some take URLs for themselves, others make files of such names.
 * @throws TypeError for a URL that is not that of a file alone
 */
function pathOf(text: string): string {
  const [, scheme = ''] = /^([a-z][a-z\d+.-]+):/i.exec(text) ?? []
  if (!scheme || text === ':memory:') return text
  if (scheme.toLowerCase() !== 'file') {
    throw new TypeError(`${text} is no path of a SQLite file, nor a file: URL; a file that has this name is ./${text}`)
  }
  // A relative one starts from here, as with SQLite itself.
  const url = new URL(text, pathToFileURL(join(process.cwd(), 'x')))
  if (url.search || url.hash) throw new TypeError(`${text} has parameters: open the database with your driver, and give sqliteStore the handle`)
  return fileURLToPath(url)
}

/** We wait ourselves: SQLite's way of waiting stops the process. */
function patient(db: SqliteDatabase): SqliteDatabase {
  db.exec('PRAGMA busy_timeout = 0')
  return db
}

/** A connection of our own through the handle's own driver; the handle itself if there is no file to open. */
function reopen(handle: SqliteDatabase, open: OpenDatabase | undefined): SqliteDatabase {
  const file = fileOf(handle)
  if (!file) return handle
  // Opening would make a new one.
  if (!existsSync(file)) throw new Error(`${file} was moved or deleted`)
  if (open) return openBy(open, file)
  let db: SqliteDatabase | undefined
  try {
    db = openLike(handle, file)
    // The first look at what is in it.
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

/** Opens another database, or makes an empty one, with the driver of this connection. What cannot be written through it stays so. */
const openLike = (db: SqliteDatabase, path: string): SqliteDatabase => {
  const Database = db.constructor as Driver
  return db.readonly === true ? new Database(path, { readonly: true }) : new Database(path)
}

/** Small files of our own need no key; where the driver's code lies elsewhere, only the user knows it. */
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
  throw new TypeError(`open was to open ${path}, and opened ${file || 'no file'}`)
}

/** Drivers in the order of preference. They are found when they are needed, by a way that no bundler follows: what is not installed must not keep a program from being built. */
const drivers: readonly (() => Driver | undefined)[] = [
  () => requireFrom('better-sqlite3') as Driver,
  () => process.getBuiltinModule?.('node:sqlite')?.DatabaseSync as Driver | undefined,
]

/** Loads a package from where this file lies; or, if a bundle has moved it, from where the program does. */
function requireFrom(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module')
  // A bundle in CommonJS has no URL, and one by webpack that of a source which may be gone.
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
const isMissing = (error: unknown): boolean =>
  ['MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED', 'ERR_INVALID_ARG_VALUE'].includes(String((error as { code: unknown }).code))

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
