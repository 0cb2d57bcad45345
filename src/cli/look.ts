import { chmodSync, closeSync, constants, copyFileSync, existsSync, mkdtempSync, openSync, readSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LockError, storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { isBusy, openToRead, type SqliteDatabase } from '../stores/sqlite/driver.ts'
import { isSetUp } from '../stores/sqlite/schema.ts'
import { openTables, type Tables } from '../stores/sqlite/tables.ts'
import { transactions } from '../stores/sqlite/transaction.ts'
import { attendance } from './attendance.ts'
import { isFile } from './place.ts'
import { sleep } from './sleep.ts'
import { assertPlace, openStore } from './store.ts'
import { writerOf } from './writer.ts'

/** A store to be read only. */
export type Look = Pick<Store, 'read' | 'list' | 'close'>

/** How long to try to read a file that another process keeps locked, and the pause between two attempts, in ms. */
const patience = { most: 5_000, pause: 20 }

/**
 * Opens a store to look at it. For a SQLite file this writes nothing, neither into the file nor beside it, and does not wait for writers, except in
 * a journal mode other than WAL.
 */
async function openLook(place: string): Promise<Look> {
  if (!isFile(place)) return await openStore(place)
  assertPlace(place)
  const file = new FileLook(place)
  const inTables = <T>(look: (tables: Tables) => T, otherwise: T): Promise<T> =>
    file.look((db) => (isSetUp(db) ? look(openTables(db, transactions(db), false)) : otherwise))
  return {
    read: (key) => inTables((tables) => tables.read(key), undefined),
    list: (prefix = '', part = {}) => inTables((tables) => tables.list(prefix, part), []),
    close: async () => file.close(),
  }
}

/** Looks at a store, and closes it in any case. */
export async function withLook<T>(place: string, use: (look: Look) => Promise<T>): Promise<T> {
  const look = await openLook(place)
  try {
    return await use(attendance.attend(look, place))
  } finally {
    await look.close()
  }
}

/** A copy of a database that no process had open. */
interface Copy {
  readonly folder: string
  readonly path: string
  /** The stamp of the original files when they were copied: see {@link stampOf}. */
  readonly of: string
}

/**
 * Looks at a database file. SQLite reads a file in WAL mode only if it finds the log's files beside it, or may create them. If no process has the
 * file open, they are missing, and if another user than the owner creates them, the owner may be locked out. So then this looks at a copy.
 */
export class FileLook {
  readonly #file: string
  #copy: Copy | undefined

  constructor(file: string) {
    // The log is beside the file itself, not beside a link to it.
    this.#file = realpathSync(file)
  }

  /** @param step looks at the database of an open connection. It is repeated for some seconds while another process keeps the file locked */
  async look<T>(step: (db: SqliteDatabase) => T): Promise<T> {
    const end = performance.now() + patience.most
    for (;;) {
      try {
        return this.#once(step)
      } catch (error) {
        // The process that had the file open may have closed it since we found the log beside it.
        const mayPass = isBusy(error) || (/unable to open/.test((error as Error).message) && isCold(this.#file))
        if (!mayPass) throw storeError(error, `the SQLite database ${this.#file}`)
        if (performance.now() > end) {
          const who = writerOf(this.#file) ?? 'another process'
          throw new LockError('store', `the SQLite database ${this.#file} cannot be read: ${who} keeps everybody else from reading it`, {
            cause: error,
          })
        }
      }
      await sleep(patience.pause)
    }
  }

  #once<T>(step: (db: SqliteDatabase) => T): T {
    const db = openToRead(isCold(this.#file) ? this.#copied() : this.#file)
    try {
      return step(db)
    } finally {
      db.close()
    }
  }

  /** The path of a copy of the file as it is now. */
  #copied(): string {
    const of = stampOf(this.#file)
    if (this.#copy?.of === of) return this.#copy.path
    this.close()
    const folder = mkdtempSync(join(tmpdir(), 'storelock-look-'))
    const path = join(folder, 'copy.db')
    this.#copy = { folder, path, of }
    process.once('exit', this.#discard)
    for (const suffix of ['', '-wal']) {
      if (!existsSync(this.#file + suffix)) continue
      copyFileSync(this.#file + suffix, path + suffix, constants.COPYFILE_FICLONE)
      chmodSync(path + suffix, 0o600)
    }
    // Another process may have opened and changed the file during the copy.
    return stampOf(this.#file) === of ? path : this.#copied()
  }

  #discard = (): void => {
    if (this.#copy) rmSync(this.#copy.folder, { recursive: true, force: true })
    this.#copy = undefined
  }

  close(): void {
    process.off('exit', this.#discard)
    this.#discard()
  }
}

/** Whether a file is in WAL mode, but its log or the log's index is missing. */
const isCold = (file: string): boolean => isWal(file) && !(existsSync(`${file}-wal`) && existsSync(`${file}-shm`))

/** The offset of the read version in the header of a database, and its value in WAL mode. */
const [readVersion, walVersion] = [19, 2]

function isWal(file: string): boolean {
  const header = Buffer.alloc(readVersion + 1)
  const open = openSync(file, 'r')
  try {
    readSync(open, header)
  } finally {
    closeSync(open)
  }
  return header[readVersion] === walVersion
}

/** Changes with every change of the file and of its log. */
function stampOf(file: string): string {
  return ['', '-wal', '-shm']
    .map((suffix) => {
      const stat = statSync(file + suffix, { bigint: true, throwIfNoEntry: false })
      return stat ? `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` : ''
    })
    .join()
}
