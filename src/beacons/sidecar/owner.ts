import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/**
 * Names this process, the same in all its threads and in all copies of this library. If two processes had the same name, they could not prove each
 * other's death; if one process had two, it would release its own locks.
 */
export const thisProcess: string = createHash('sha256')
  // Each container has its own namespace of process ids, and its main process has the same id as in every other one.
  .update(JSON.stringify([process.pid, read(() => readlinkSync('/proc/self/ns/pid')), read(() => startedAt('/proc/self'))]))
  .digest('hex')
  .slice(0, 12)

const self = read(() => threadAt('thread-self'))

/**
 * Names this thread within its process, if the system tells threads apart, as Linux does. Empty on other systems, and in the main thread, which dies
 * only with its process.
 */
export const thisThread: string = isMainThread ? '' : (self ?? '')

/**
 * Whether a thread of this process has ended. Testing the lock on its file would release that lock, since POSIX releases all of a process's locks on
 * a file when any of its threads closes a descriptor of it.
 * @param thread the value of {@link thisThread} in that thread
 */
export function hasEnded(thread: string): boolean {
  const [id = ''] = thread.split('.')
  try {
    return threadAt(`self/task/${id}`) !== thread
  } catch (error) {
    // This proves nothing if not even this thread can be seen any more.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && self !== undefined && self === read(() => threadAt('thread-self'))
  }
}

/** Ids are reused, so the start time is part of the name. */
function threadAt(place: string): string {
  const path = `/proc/${place}`
  return `${basename(realpathSync(path))}.${startedAt(path)}`
}

/** The start time of a process or thread, in ticks since the system started, if the system tells it: an id is not reused within a tick. */
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
