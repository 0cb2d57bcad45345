import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/**
 * Names this process, the same in all its threads and in all copies of this library. If two processes had the same name, they could not prove each
 * other's death; if one process had two, it would release its own locks.
 */
export const thisProcess: string = createHash('sha256')
  // A container has its own namespace of process ids, and every main process in one has the same id.
  .update(JSON.stringify([process.pid, read(() => readlinkSync('/proc/self/ns/pid')), read(() => startedAt('/proc/self'))]))
  .digest('hex')
  .slice(0, 12)

const self = read(() => threadAt('thread-self'))

/**
 * Names this thread among those of its process, if the system tells them apart, as Linux does. Empty elsewhere, and in the main thread, which dies
 * only with its process.
 */
export const thisThread: string = isMainThread ? '' : (self ?? '')

/**
 * Whether a thread of this process has ended. Testing the lock on its file would release that lock, since POSIX releases all of a process's locks on
 * a file when any of its threads closes a descriptor of it.
 * @param thread as {@link thisThread} named it there
 */
export function hasEnded(thread: string): boolean {
  const [id = ''] = thread.split('.')
  try {
    return threadAt(`self/task/${id}`) !== thread
  } catch (error) {
    // If this thread itself cannot be seen any more, no other could.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && self !== undefined && self === read(() => threadAt('thread-self'))
  }
}

/** Ids are reused, so the start time is part of the name. */
function threadAt(place: string): string {
  const path = `/proc/${place}`
  return `${basename(realpathSync(path))}.${startedAt(path)}`
}

/** In ticks since the system started, if it tells: ids are reused, but not at the same time. */
function startedAt(place: string): string | undefined {
  const stat = readFileSync(`${place}/stat`, 'utf8')
  // The program's name is in brackets, and may contain any character.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function read<T>(source: () => T): T | undefined {
  try {
    return source()
  } catch {
    return undefined
  }
}
