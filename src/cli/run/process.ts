import { readFileSync } from 'node:fs'

/** The start time of a process, if the system tells it. It identifies the process, since another process may later get the same id. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : rest[18]
  } catch {
    return undefined
  }
}

/** Whether a process is there, and is not another one with the same id. @param start its {@link startOf}, if it is known */
export function isThere(pid: number, start?: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return start === undefined || startOf(pid) === start
}
