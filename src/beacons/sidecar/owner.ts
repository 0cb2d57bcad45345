import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/**
 * Names this process, the same in all its threads and in all copies of this library. Two processes that share a name could
 * not prove each other's death; that of one process under two names would take away what its own life rests on.
 */
export const thisProcess: string = createHash('sha256')
  // A container has a namespace of its own for process ids, in which every main process has the same one.
  .update(JSON.stringify([process.pid, read(() => readlinkSync('/proc/self/ns/pid')), read(() => startedAt('/proc/self'))]))
  .digest('hex')
  .slice(0, 12)

const self = read(() => threadAt('thread-self'))

/**
 * Names this thread among those of its process, where the system tells them apart: Linux does. Empty in the main thread, with which
 * its process dies, and elsewhere.
 */
export const thisThread: string = isMainThread ? '' : (self ?? '')

/**
 * Whether a thread of this process has ended. To ask the lock on its file would take the lock away, since POSIX takes all of a process's
 * locks on a file with the first descriptor that any of its threads closes.
 * @param thread as {@link thisThread} named it there
 */
export function hasEnded(thread: string): boolean {
  const [id = ''] = thread.split('.')
  try {
    return threadAt(`self/task/${id}`) !== thread
  } catch (error) {
    // Where this thread cannot be seen any more, no other could.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && self !== undefined && self === read(() => threadAt('thread-self'))
  }
}

/** An id is used again, so the time of its start belongs to the name. */
function threadAt(place: string): string {
  const path = `/proc/${place}`
  return `${basename(realpathSync(path))}.${startedAt(path)}`
}

/** In ticks since the system started, where it tells: an id is used again, but not at the same time. */
function startedAt(place: string): string | undefined {
  const stat = readFileSync(`${place}/stat`, 'utf8')
  // The name of the program stands in brackets, and may hold any character.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function read<T>(source: () => T): T | undefined {
  try {
    return source()
  } catch {
    return undefined
  }
}
