import { randomBytes } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { thisProcess } from './owner.ts'

/** The parts of a connection to a SQLite database that the beacon uses. */
export interface SidecarConnection {
  exec(sql: string): unknown
  close(): unknown
}

/** A locked sidecar file. The lock ends with the connection, and so with the process. */
export interface LockedFile {
  readonly connection: SidecarConnection
  readonly name: string
  /** Tells the file from earlier and later ones of the same name. */
  readonly inode: string
}

/** A file's name: session, process and a random part. Other files in the folder are not removed. */
const shape = /^[^-]+-[0-9a-f]{12}-[0-9a-f]{6}$/

/** A file this old, in ms, is not just about to be locked for the first time. */
const settled = 60_000

// Locking an empty database writes its first page into a journal; a journal in memory leaves no file behind.
const lock = 'PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE'

/** The sidecar files of a database. As long as a file is locked, its owner is alive. */
export class SidecarFiles {
  readonly #database: string
  readonly #folder: string
  readonly #open: (path: string) => SidecarConnection

  /** @param open opens or creates a database */
  constructor(database: string, open: (path: string) => SidecarConnection) {
    this.#database = database
    this.#folder = `${database}-storelock`
    this.#open = open
  }

  /** Makes a file for a session and locks it. Throws if that is impossible. */
  make(session: string): LockedFile {
    for (let tries = 1; ; tries++) {
      const name = `${encodeURIComponent(session).replaceAll('-', '%2D')}-${thisProcess}-${randomBytes(3).toString('hex')}`
      try {
        const inode = this.#create(name)
        const connection = this.#lock(name)
        if (this.inodeOf(name) === inode) return { connection, name, inode }
        connection.close()
        throw new Error(`${this.#pathOf(name)} was replaced`)
      } catch (error) {
        this.#remove(name)
        // Another process's sweep may have locked the file between its creation and our locking.
        if (tries === 3) throw error
      }
    }
  }

  /**
   * Locks a file of another process, which proves that its owner is gone. Never call it for a file of this process: closing a file releases all locks
   * that the process has on it. @returns undefined if there is no proof
   */
  seize(name: string, inode = this.inodeOf(name)): LockedFile | undefined {
    if (inode === undefined || isOwn(name) || this.inodeOf(name) !== inode) return undefined
    const connection = this.#tryLock(name)
    // Opening a file that has just been removed creates a new one.
    if (connection && this.inodeOf(name) === inode) return { connection, name, inode }
    connection?.close()
    return undefined
  }

  /** Releases a lock. With `forGood`, removes the file first, under the lock, because no process needs it any more. */
  free({ connection, name }: LockedFile, forGood: boolean): void {
    const removed = forGood && this.#remove(name)
    connection.close()
    // Windows does not remove open files.
    if (forGood && !removed) this.#remove(name)
  }

  inodeOf(name: string): string | undefined {
    const stat = attempt(() => lstatSync(this.#pathOf(name), { bigint: true }))
    return stat?.isFile() ? `${stat.ino}` : undefined
  }

  /**
   * Removes the file of a session if its process is gone, under the file's lock, which proves that; or if its thread of this process is known to be
   * gone.
   */
  removeDead(name: string): void {
    // The thread has ended, so nothing uses its file. Never open a file of this process, because that could release a live thread's lock.
    if (isOwn(name)) {
      this.#remove(name)
      return
    }
    const seized = this.seize(name)
    if (seized) this.free(seized, true)
  }

  /** All sidecar files, read from the folder in small steps. */
  *all(): Generator<string, undefined> {
    const folder = attempt(() => opendirSync(this.#folder))
    if (!folder) return
    try {
      for (let entry = folder.readSync(); entry; entry = folder.readSync()) if (shape.test(entry.name) && sessionOf(entry.name)) yield entry.name
    } finally {
      folder.closeSync()
    }
  }

  /** Whether a file has been there for a while, and is empty as SQLite leaves it. */
  isSettled(name: string): boolean {
    const stat = attempt(() => lstatSync(this.#pathOf(name)))
    // SQLite never writes into a sidecar file.
    if (!stat?.isFile() || stat.size) return false
    return Math.abs(Date.now() - stat.mtimeMs) > settled
  }

  #pathOf(name: string): string {
    return join(this.#folder, name)
  }

  /** Creates a file that all users of the database may use, as SQLite does with its own files beside a database. */
  #create(name: string): string {
    const like = statSync(this.#database)
    this.#makeFolder(like)
    this.#assertFolder(like)
    return within(openSync(this.#pathOf(name), 'wx', 0o600), (file, { ino }) => {
      // Another user may have replaced the folder meanwhile: do not change the owner of a file there.
      this.#assertFolder(like)
      if (this.inodeOf(name) !== `${ino}`) throw new Error(`${this.#pathOf(name)} was replaced`)
      own(file, like, like.mode & 0o666)
      return `${ino}`
    })
  }

  #makeFolder(like: Stats): void {
    try {
      mkdirSync(this.#folder)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
      throw error
    }
    // Windows has no such modes.
    if (process.platform === 'win32') return
    const folder = openSync(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    // A user who may read the database may enter the folder. If the parent folder passes on its group, so does this folder.
    within(folder, (file, { mode }) => own(file, like, (Number(mode) & 0o2000) | (like.mode & 0o666) | ((like.mode & 0o444) >> 2)))
  }

  /** Refuses a link, which could lead anywhere, and a folder from which other users could remove a file, which would make its owner look dead. */
  #assertFolder(like: Stats): void {
    const folder = lstatSync(this.#folder)
    if (!folder.isDirectory()) throw new Error(`${this.#folder} is not a directory`)
    if (process.platform === 'win32') return
    const trusted = [0, process.geteuid?.(), like.uid]
    if (!trusted.includes(folder.uid)) throw new Error(`${this.#folder} belongs to another user: remove it`)
    if (folder.mode & 0o022 & ~like.mode)
      throw new Error(`others may write into ${this.#folder}, but not into the database: chmod go-w ${this.#folder}`)
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

  /** If the file is busy, not writable or gone, there is no proof. */
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

/** Whether a file was made by this process, in any thread. */
export const isOwn = (name: string): boolean => name.split('-')[1] === thisProcess

/** Gives an open file or folder the owner of a database, and a mode. It uses the open descriptor, since the path may lead elsewhere by now. */
function own(file: number, { uid, gid }: Stats, mode: number): void {
  if (process.geteuid?.() === 0) fchownSync(file, uid, gid)
  fchmodSync(file, mode)
}

function within<T>(file: number, use: (file: number, stat: BigIntStats) => T): T {
  try {
    return use(file, fstatSync(file, { bigint: true }))
  } finally {
    closeSync(file)
  }
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
