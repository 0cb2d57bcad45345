import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'

/** The bytes that SQLite locks for writing: in the log's index in WAL mode, and in the database itself in other modes. */
const writeLocks = [
  ['-shm', 120],
  ['', 1_073_741_825],
] as const

/** A lock on a part of a file, as Linux lists it. */
export interface FileLock {
  readonly pid: number
  readonly inode: string
  readonly first: number
  readonly last: number
}

/** The locks for writing in a list such as `/proc/locks`. */
function parseLocks(text: string): FileLock[] {
  return [...text.matchAll(/^\d+: (?:POSIX|OFDLCK) +\S+ +WRITE +(-?\d+) +[\da-f]+:[\da-f]+:(\d+) +(\d+) +(\d+|EOF)$/gm)].map(
    ([, pid, inode = '', first, last]) => ({ pid: Number(pid), inode, first: Number(first), last: last === 'EOF' ? Infinity : Number(last) }),
  )
}

/** The process that has a write transaction open in a SQLite file, in words; undefined if there is none, or the system does not tell. */
export function writerOf(file: string, locks = parseLocks(read('/proc/locks'))): string | undefined {
  for (const [suffix, byte] of writeLocks) {
    const inode = statSync(file + suffix, { bigint: true, throwIfNoEntry: false })?.ino
    const lock = locks.find((lock) => lock.inode === `${inode}` && lock.first <= byte && byte <= lock.last)
    if (lock) return wordsFor(lock.pid)
  }
  return undefined
}

function wordsFor(pid: number): string {
  // The system names no process for locks of another container, or locks that belong to an open file.
  if (pid <= 0) return 'a process elsewhere'
  // Further arguments may be secrets.
  const [program = '', first = ''] = read(`/proc/${pid}/cmdline`).split('\0')
  const words = [basename(program), ...(first.startsWith('-') ? [] : [basename(first)])].filter(Boolean)
  return words.length ? `process ${pid} (${words.join(' ')})` : `process ${pid}`
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
