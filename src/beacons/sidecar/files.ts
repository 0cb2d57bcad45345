import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, closeSync, fstatSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { thisProcess } from './owner.ts'

/** What is needed of a connection to a SQLite database. */
export interface SidecarConnection {
  exec(sql: string): unknown
  close(): unknown
}

/** A sidecar file that is locked. Its lock goes with the connection, so with the process. */
export interface LockedFile {
  readonly connection: SidecarConnection
  readonly name: string
  /** Tells it from another file of the same name. */
  readonly inode: string
}

/** A file this old, in ms, is not about to be locked for the first time. */
const settled = 60_000

// An empty database writes its first page into a journal when it is locked; in memory, it leaves nothing behind.
const lock = 'PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE'

/** The sidecar files of a database: who holds one locked, lives. */
export class SidecarFiles {
  readonly #database: string
  readonly #folder: string
  readonly #open: (path: string) => SidecarConnection

  /** @param open opens a database, or makes an empty one */
  constructor(database: string, open: (path: string) => SidecarConnection) {
    this.#database = database
    this.#folder = `${database}-storelock`
    this.#open = open
  }

  /** Makes a file for a session and locks it. Throws if that cannot be. */
  make(session: string): LockedFile {
    for (let tries = 1; ; tries++) {
      const name = `${encodeURIComponent(session).replaceAll('-', '%2D')}-${thisProcess}-${randomBytes(3).toString('hex')}`
      const inode = this.#create(name)
      const connection = this.#lock(name)
      // One who sweeps may have taken the file between its making and its locking.
      if (connection && this.inodeOf(name) === inode) return { connection, name, inode }
      connection?.close()
      if (tries === 3) throw new Error(`${join(this.#folder, name)} could not be locked`)
    }
  }

  /**
   * Locks a file of another process: proof that its owner is gone. Never one of this process: to close a file takes away all locks
   * that the same process has on it. @returns undefined if that is no proof
   */
  seize(name: string, inode = this.inodeOf(name)): LockedFile | undefined {
    if (inode === undefined || isOwn(name) || this.inodeOf(name) !== inode) return undefined
    const connection = this.#tryLock(name)
    // To open what has just been removed makes a new file.
    if (connection && this.inodeOf(name) === inode) return { connection, name, inode }
    connection?.close()
    return undefined
  }

  /** Lets go of a lock; removes the file first, under the lock, if nobody will ever look for it. */
  free({ connection, name }: LockedFile, forGood: boolean): void {
    const removed = forGood && this.#remove(name)
    connection.close()
    // Windows removes nothing that is open.
    if (forGood && !removed) this.#remove(name)
  }

  inodeOf(name: string): string | undefined {
    return attempt(() => `${statSync(this.#pathOf(name), { bigint: true }).ino}`)
  }

  /** Files of other processes that have been there for a while, each with its session. */
  old(): { readonly name: string; readonly session: string }[] {
    const names = attempt(() => readdirSync(this.#folder)) ?? []
    return names.filter((name) => !isOwn(name) && this.#isOld(name)).map((name) => ({ name, session: sessionOf(name) }))
  }

  #isOld(name: string): boolean {
    const stat = attempt(() => statSync(this.#pathOf(name)))
    return stat !== undefined && Math.abs(Date.now() - stat.mtimeMs) > settled
  }

  #pathOf(name: string): string {
    return join(this.#folder, name)
  }

  /** As SQLite does with the files that it puts beside a database, who may use that may use this. */
  #create(name: string): string {
    const { mode, uid, gid } = statSync(this.#database)
    const own = (path: string, mode: number): void => {
      chmodSync(path, mode)
      if (process.geteuid?.() === 0) chownSync(path, uid, gid)
    }
    try {
      mkdirSync(this.#folder)
      // Who may read may enter.
      own(this.#folder, (mode & 0o666) | ((mode & 0o444) >> 2))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const path = this.#pathOf(name)
    const file = openSync(path, 'wx')
    const { ino } = fstatSync(file, { bigint: true })
    closeSync(file)
    own(path, mode & 0o666)
    return `${ino}`
  }

  #lock(name: string): SidecarConnection {
    const connection = this.#open(this.#pathOf(name))
    try {
      connection.exec(lock)
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Busy, not ours to write, gone: no proof. */
  #tryLock(name: string): SidecarConnection | undefined {
    return attempt(() => this.#lock(name))
  }

  #remove(name: string): boolean {
    return (
      attempt(() => {
        unlinkSync(this.#pathOf(name))
        return true
      }) ?? false
    )
  }
}

/** The session that a file was made for. */
export const sessionOf = (name: string): string => attempt(() => decodeURIComponent(name.slice(0, name.indexOf('-')))) ?? ''

/** Whether a file was made by this process, in whatever thread. */
export const isOwn = (name: string): boolean => name.split('-')[1] === thisProcess

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
