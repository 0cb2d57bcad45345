import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Names this process, the same in all its threads and in all copies of this library. Two processes that share a name could
 * not prove each other's death; that of one process under two names would take away what its own life rests on.
 */
export const thisProcess: string = createHash('sha256')
  // A container has a namespace of its own for process ids, in which every main process has the same one.
  .update(JSON.stringify([process.pid, read(() => readlinkSync('/proc/self/ns/pid')), read(startedAt)]))
  .digest('hex')
  .slice(0, 12)

/** In ticks since the system started, where it tells: an id is used again, but not at the same time. */
function startedAt(): string | undefined {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // The name of the program stands in brackets, and may hold any character.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function read(source: () => string | undefined): string | undefined {
  try {
    return source()
  } catch {
    return undefined
  }
}
