import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import type { Beacon } from '../store.ts'

/** How often we check whether a process is alive, in ms. */
const interval = 10

/** The beacons raised in this thread, by address, with their watchers in this thread. */
const raised = new Map<string, Set<() => void>>()
/** The watchers in this thread, by the process that they watch. */
const watched = new Map<string, Set<() => void>>()

/**
 * Proofs of death by the system's list of processes, for stores on other machines. They work between sessions on the same machine and in the same
 * container, even if connections break. The death of a process elsewhere, or of a single thread, is never proved, so its lease has to end.
 * @returns `undefined` where the system does not tell enough, which is everywhere but on Linux
 */
export function processBeacon(): Beacon | undefined {
  const own = identify()
  if (!own) return undefined

  /** Whether the owner of an address is proved dead, or has lowered it. */
  const isOut = (address: string): boolean => {
    const [machine, pid, start] = address.split(':')
    if (machine !== own.machine || !pid || !start) return false
    return `${pid}:${start}` === own.process ? !raised.has(address) && isHere(address) : isDead(Number(pid), start)
  }

  /** Whether an address is of this thread. Another thread of this process counts as alive, because nothing shows its death. */
  const isHere = (address: string): boolean => address.endsWith(`:${thread}`)

  return {
    async raise(session) {
      const address = `${own.machine}:${own.process}:${session}:${thread}`
      const watchers = new Set<() => void>()
      raised.set(address, watchers)
      return {
        address,
        lost: new Promise(() => {}),
        lower() {
          if (!raised.delete(address)) return
          for (const found of watchers) found()
        },
      }
    },
    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        if (isOut(address)) return resolve()
        const [, pid = '', start = ''] = address.split(':')
        const process = `${pid}:${start}`
        const mine = raised.get(address)
        const watchers = mine ?? watched.get(process) ?? new Set()
        const done = (): void => {
          signal.removeEventListener('abort', stop)
          watchers.delete(done)
          resolve()
        }
        const stop = (): void => {
          watchers.delete(done)
          if (!mine && !watchers.size) watched.delete(process)
          reject(signal.reason)
        }
        signal.addEventListener('abort', stop, { once: true })
        watchers.add(done)
        if (mine || !address.startsWith(`${own.machine}:`) || watched.has(process)) return
        watched.set(process, watchers)
        lookAfter(Number(pid), start, process)
      }),
    isOut: async (address) => isOut(address),
  }
}

/** Names this thread's copy of this module within its process. */
const thread = createHash('sha256').update(`${Math.random()}`).digest('hex').slice(0, 8)

/** Looks at a process until it is dead or has no watchers any more. */
function lookAfter(pid: number, start: string, process: string): void {
  const look = (): void => {
    const watchers = watched.get(process)
    if (!watchers) return
    if (!isDead(pid, start)) {
      setTimeout(look, interval).unref()
      return
    }
    watched.delete(process)
    for (const found of [...watchers]) found()
  }
  setTimeout(look, interval).unref()
}

/** Names that tell this machine, or container, and this process from all others; `undefined` if the system does not tell enough. */
function identify(): { readonly machine: string; readonly process: string } | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    const macs = Object.values(networkInterfaces()).flatMap((each) => each?.map(({ mac }) => mac) ?? [])
    // The boot id alone is not enough: machines that were started from one snapshot may have the same.
    const parts = [boot, readlinkSync('/proc/self/ns/pid'), hostname(), [...new Set(macs)].sort()]
    const machine = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
    const found = stateOf(process.pid)
    // A /proc of another namespace lists other processes.
    return found && readlinkSync('/proc/self') === String(process.pid) ? { machine, process: `${process.pid}:${found.start}` } : undefined
  } catch {
    return undefined
  }
}

/** Whether the process with this id and start time has certainly ended. */
function isDead(pid: number, start: string): boolean {
  const found = stateOf(pid)
  if (found) return found.start !== start || found.state === 'Z' || found.state === 'X'
  // A process that we cannot read may be hidden; but the system says ESRCH only if it does not exist.
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function stateOf(pid: number): { readonly state: string; readonly start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The program's name is in brackets, and may contain any character.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] as string, start: fields[19] as string }
  } catch {
    return undefined
  }
}
