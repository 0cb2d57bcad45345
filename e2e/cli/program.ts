import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const started = new Set<Program>()

/** A running command, seen from outside. */
export class Program {
  readonly child: ChildProcess
  readonly #closed: Promise<unknown>
  printed = ''
  said = ''

  constructor(command: readonly string[], options: SpawnOptions = {}) {
    const [program = '', ...args] = command
    this.child = spawn(program, args, { stdio: 'pipe', ...options })
    this.#closed = once(this.child, 'close')
    this.child.stdout?.on('data', (text) => {
      this.printed += text
    })
    this.child.stderr?.on('data', (text) => {
      this.said += text
    })
    started.add(this)
  }

  get pid(): number {
    return this.child.pid as number
  }

  get over(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** The exit code, once all output has arrived. @throws Error if a signal ended the process */
  async code(): Promise<number> {
    await this.#closed
    if (this.child.exitCode === null) throw new Error(`ended by ${this.child.signalCode}`)
    return this.child.exitCode
  }

  /** The exit code, or the signal that ended the process, once all output has arrived. */
  async ending(): Promise<number | NodeJS.Signals> {
    await this.#closed
    return this.child.signalCode ?? (this.child.exitCode as number)
  }

  /** Waits until the output matches `shape`. @returns the first group */
  async shows(shape: RegExp): Promise<string> {
    return await until(() => {
      const found = shape.exec(this.printed) ?? shape.exec(this.said)
      if (!found && this.over) throw new Error(`it ended without ${shape}: ${this.printed}${this.said}`)
      return found?.[1]
    })
  }
}

/** Kills every program that was started here. */
export function killAll(): void {
  for (const { child, over } of started) if (!over) child.kill('SIGKILL')
  started.clear()
}

/** Calls `look` until it finds something, and returns that. */
export async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    await sleep(10)
  }
}

/** Sends a signal, unless the process, or each process of the group, has ended already. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The letter of a process's state: `T` is stopped, `Z` has ended. Undefined if there is no such process. */
export function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0]
  } catch {
    return undefined
  }
}

export const isAlive = (pid: number): boolean => !['Z', undefined].includes(stateOf(pid))

/** The paths of the files that a process has open. */
export function openFilesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  try {
    return readdirSync(folder).map((name) => readlinkSync(`${folder}/${name}`))
  } catch {
    // The process has closed one of them meanwhile.
    return []
  }
}

export const childrenOf = (pid: number): number[] => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

/** The guardian of a run: a shell, or a Node process in its place. */
export function guardianOf(run: number): number | undefined {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The guardian's timers are forks with the same arguments, but only the guardian leads the session.
      if (args[args.indexOf('storelock-guardian') + 1] === `${run}` && parent.split(') ')[1]?.split(' ')[3] === pid) return Number(pid)
    } catch {
      // The process has ended meanwhile.
    }
  }
  return undefined
}
