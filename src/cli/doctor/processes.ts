import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { pathFault } from '../../stores/sqlite/file.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** @param mounts as the system lists them, if it does */
export function checkPath(file: string, mounts?: string): Finding {
  const found = pathFault(file, mounts)
  if (!found) return ok('path', 'the only path to the file')
  const [what = '', mend = ''] = found.split(/: (?=[^:]*$)/)
  return fault('path', what, mend)
}

/** A file that a process has open. */
export interface OpenFile {
  readonly pid: number
  /** As that process sees it, followed by ` (deleted)` if it was removed. */
  readonly path: string
  readonly inode: string
}

/** Checks that all processes that have the database open write the log beside it, each with one copy of SQLite. */
export function checkProcesses(file: string, open = readOpenFiles()): Finding {
  if (!open.length) {
    return note('processes', 'this system does not show what they have open', 'check that each opens the file by this path, with one copy of SQLite')
  }
  const database = inodeOf(file)
  const index = inodeOf(`${file}-shm`)
  const pids = new Set<number>()
  for (const pid of new Set(open.filter(({ inode }) => inode === database).map(({ pid }) => pid))) {
    pids.add(pid)
    const own = open.filter((each) => each.pid === pid)
    const paths = own.filter(({ inode }) => inode === database).map(({ path }) => path)
    const indexes = own.filter(({ path }) => paths.some((each) => path === `${each}-shm` || path === `${each}-shm (deleted)`))
    const other = indexes.find(({ inode }) => inode !== index)
    if (other) {
      const why = other.path.endsWith(')') ? 'its log was removed in use' : `its log is that of ${other.path}`
      return fault(
        'processes',
        `${pid} does not share the others’ log: ${why}`,
        'stop all processes that use the file, and let all open it by the same path, in a folder that they share',
      )
    }
    if (indexes.length > 1) {
      return fault(
        'processes',
        `${pid} has it open in two copies of SQLite`,
        'use one in each process: give sqliteStore the handle that the program uses',
      )
    }
  }
  return ok('processes', `${pids.size} of the visible ones have it open, with one log`)
}

const inodeOf = (path: string): string | undefined => {
  const stat = attempt(() => statSync(path, { bigint: true }))
  return stat && `${stat.dev}:${stat.ino}`
}

/** The open files of all processes that this process can see, on Linux. */
function readOpenFiles(): OpenFile[] {
  const pids = (attempt(() => readdirSync('/proc')) ?? []).filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) =>
    (attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []).flatMap((number) => {
      const at = `/proc/${pid}/fd/${number}`
      const path = attempt(() => readlinkSync(at))
      const inode = path?.startsWith('/') ? inodeOf(at) : undefined
      return path && inode ? [{ pid: Number(pid), path, inode }] : []
    }),
  )
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
