import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { LockError } from '../../protocol/index.ts'

/**
 * Checks that we write the same file as all other processes. SQLite names its log after the path of the database (`-wal`, and `-shm` for the log's
 * index), so one file under two paths has two logs; and two copies of SQLite in one process do not exclude each other. Once a fault was found it
 * stays, because we cannot know what other processes did meanwhile.
 */
export interface FileGuard {
  /** Checks only the path, which costs one system call. @throws LockError `store` that says what is wrong and what to do, as the other checks do */
  assertFile(): void
  /** Checks the log's files too, unless that was done in the last few ms. */
  assertRecently(): void
  /** Checks everything that can be checked, for beats and for opening. */
  assertSound(): void
  /** The log's files are open now: from here on they have to stay the same. */
  noteLog(): void
  /** Whether another copy of SQLite in this process has the file open. Closing ours would then delete the log that it writes. */
  isShared(): boolean
  /** Calls the listener when a fault is found. @returns how to stop listening */
  onFault(listener: (why: string) => void): () => void
}

/** How long a request, which has to be fast, relies on the last check of the files: the shortest time between two beats, in ms. */
const unchecked = 10
/** The process's memory map is read again after this many times the duration of the last reading, so that it costs a thousandth of the time. */
const rarity = 1_000

/** @param file as SQLite names it; '' for a database without a file, which has no such faults */
export function guardFile(file: string): FileGuard {
  const inode = inodeOf(file)
  const listeners = new Set<(why: string) => void>()
  let log: string | undefined
  let fault: LockError | undefined
  let checkedAt = -Infinity
  let mapAfter = -Infinity

  const assert = (find: () => string | undefined): void => {
    if (!file) return
    if (!fault) {
      const found = find()
      if (!found) return
      fault = new LockError('store', `the SQLite database ${file} ${found}`)
      for (const listener of [...listeners]) listener(fault.message)
    }
    throw fault
  }

  const findAtPath = (): string | undefined => {
    const stat = statOf(file)
    return idOf(stat) === inode ? namesFault(stat) : 'was moved or deleted while it was in use'
  }

  const findInFiles = (): string | undefined => {
    checkedAt = performance.now()
    return findAtPath() ?? (log !== undefined && log !== logOf(file) ? logFault : undefined)
  }

  const findInProcess = (): string | undefined => {
    const start = performance.now()
    if (start < mapAfter) return undefined
    const { copies, live, removed } = mappingsOf(file)
    mapAfter = start + (performance.now() - start) * rarity
    if (copies > 1) return copiesFault
    return removed && !live ? logFault : undefined
  }

  return {
    assertFile: () => assert(findAtPath),
    assertRecently() {
      if (fault || performance.now() > checkedAt + unchecked) assert(findInFiles)
    },
    assertSound: () => assert(() => findInFiles() ?? findInProcess()),
    noteLog() {
      log ??= file ? logOf(file) : undefined
    },
    isShared: () => file !== '' && mappingsOf(file).copies > 1,
    onFault(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/**
 * Why a process that opens this database elsewhere would write another log, in words that follow the file's name; `undefined` if there is no sign of
 * that.
 * @param mounts as Linux lists them in `mountinfo`; '' elsewhere
 */
export function pathFault(file: string, mounts = readProc('mountinfo')): string | undefined {
  if (isMountPoint(file, mounts)) {
    return 'is mounted as a single file, so each side has its own SQLite log beside it: mount the folder instead'
  }
  return namesFault(statOf(file))
}

const namesFault = (stat: Stat): string | undefined =>
  stat && stat.nlink > 1n
    ? `has ${stat.nlink} names (hard links), and SQLite keeps another log beside each: remove all names but one, with nothing that uses it running`
    : undefined

const logFault =
  'lost its -wal or -shm file while it was in use, so others write another log: stop all processes that use the database, and do not touch these files'

const copiesFault =
  'is open in two copies of SQLite in this process (better-sqlite3 and node:sqlite, Prisma, libsql, or a package installed twice), and within one process these do not exclude each other: give sqliteStore the handle that you use for this file instead of a path, and open the file with nothing else'

type Stat = ReturnType<typeof statOf>

const statOf = (file: string) => (file ? statSync(file, { bigint: true, throwIfNoEntry: false }) : undefined)

const idOf = (stat: Stat): string | undefined => stat && `${stat.dev}:${stat.ino}`

/** Tells a file from earlier and later ones of the same name; `undefined` if there is no file. */
export const inodeOf = (file: string): string | undefined => idOf(statOf(file))

/**
 * Tells the log's files from earlier and later ones of the same names; `undefined` if there are no such files, as in a journal mode other than WAL.
 */
function logOf(file: string): string | undefined {
  const [wal, shm] = [inodeOf(`${file}-wal`), inodeOf(`${file}-shm`)]
  return wal || shm ? `${wal} ${shm}` : undefined
}

/**
 * How this process has the log's index mapped, if the system tells: each copy of SQLite maps it once, whatever the number of connections and threads.
 * `copies` is the highest number of mappings of one file.
 */
function mappingsOf(file: string): { copies: number; live: number; removed: number } {
  const path = `${file}-shm`.replaceAll('\n', '\\012')
  const counts = new Map<string, number>()
  const found = { copies: 0, live: 0, removed: 0 }
  for (const [, inode, name] of readProc('maps').matchAll(/^\S+ \S+ 0+ (\S+ \d+) +(\/.*-shm(?: \(deleted\))?)$/gm)) {
    const removed = name === `${path} (deleted)`
    if (!inode || !(removed || name === path)) continue
    const count = (counts.get(inode) ?? 0) + 1
    counts.set(inode, count)
    found.copies = Math.max(found.copies, count)
    found[removed ? 'removed' : 'live']++
  }
  return found
}

/** Whether a file is a mount of its own, as in a container that gets only the file and not its folder. */
function isMountPoint(file: string, mounts: string): boolean {
  if (mounts) return mounts.split('\n').some((line) => plain(line.split(' ')[4] ?? '') === file)
  return process.platform !== 'win32' && statOf(file)?.dev !== statOf(dirname(file))?.dev
}

/** Decodes a path in the system's list, where blanks and the like are octal numbers. */
const plain = (path: string): string => path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** What Linux tells about this process; '' elsewhere. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8')
  } catch {
    return ''
  }
}
