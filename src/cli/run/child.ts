import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Exit, exitCodes } from '../exit.ts'
import type { Entry } from './entry.ts'
import { gateFor } from './gate.ts'
import type { Guardian } from './guardian.ts'

const windows = process.platform === 'win32'

/** How often to check whether a group that was told to end has ended, in ms. */
const look = 20

/** Signals that the command may handle, but that would kill the processes it has started. */
const personal: readonly unknown[] = ['SIGUSR1', 'SIGUSR2']

/** Signals that may be sent to all processes at once, as systemd does when it stops a unit. */
const toAll: readonly unknown[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM']

export interface ChildOptions {
  readonly env: NodeJS.ProcessEnv
  readonly entry: Entry
  /** Leaves the command in our process group, for commands that need the terminal. Then the processes that it starts are not ended with it. */
  readonly foreground: boolean
  /** The time between TERM and KILL, in ms. */
  readonly grace: number
  /** Ends the command if we cannot. Windows has none. */
  readonly guardian: Guardian | undefined
}

/** How a command has ended: its exit code, or the signal that ended it. */
export type Ending = number | NodeJS.Signals

/** The command of a `run`, with all processes that it starts, and with its guardian. */
export class Child {
  /** Rejects if it cannot be started. */
  readonly ended: Promise<Ending>
  readonly guardian: Guardian | undefined
  readonly #child: ChildProcess
  readonly #target: number
  /** The command, without its arguments. */
  readonly name: string
  readonly #grace: number
  readonly #word: number
  /** Signals that are about to be passed on. */
  readonly #passing = new Set<NodeJS.Signals>()

  /** Starts a process that waits to execute the command: see {@link go}. On Windows, this starts the command itself. */
  constructor(command: readonly string[], { env, entry, foreground, grace, guardian }: ChildOptions) {
    const gate = windows ? { words: [], env, descriptor: 3 } : gateFor(env, entry)
    const [program = '', ...args] = [...gate.words, ...command]
    const { open = [] } = entry
    this.#word = gate.descriptor
    this.#child = spawn(program, args, {
      env: gate.env,
      detached: !foreground && !windows,
      stdio: Array.from({ length: Math.max(3, gate.descriptor, ...open) + 1 }, (_, descriptor) => {
        if (descriptor === gate.descriptor) return windows ? 'ignore' : 'pipe'
        if (descriptor < 3) return 'inherit'
        return open.includes(descriptor) ? descriptor : 'ignore'
      }),
    })
    this.#grace = grace
    this.name = command[0] ?? ''
    const { pid = 0 } = this.#child
    this.#target = foreground || windows ? pid : -pid
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => reject(whyNot(error, command, program)))
      this.#child.once('exit', (code, signal) => resolve(signal ?? code ?? exitCodes.failed))
    })
    this.ended.catch(() => {})
    if (pid) this.guardian = guardian
    this.guardian?.aim(this.#target)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get #isThere(): boolean {
    const { pid, exitCode, signalCode } = this.#child
    return pid !== undefined && exitCode === null && signalCode === null
  }

  /** Whether its process still waits to execute the command: it may have been killed meanwhile. */
  async waits(): Promise<boolean> {
    // The system may have reported its end, but the present turn of the event loop began before that.
    for (let turn = 0; turn < 2; turn++) await setImmediate()
    return this.#isThere
  }

  /** Lets the command start. @param variables for its environment, without line breaks */
  go(variables: Readonly<Record<string, string>>): void {
    const words = this.#child.stdio[this.#word] as Writable | null
    words?.on('error', () => {})
    words?.end([...Object.entries(variables).map(([name, value]) => `${name}=${value}`), 'go', ''].join('\n'))
  }

  /** The command is not to start. */
  dismiss(): void {
    this.#child.kill('SIGKILL')
  }

  /** Sends a signal to the command and all processes that it has started, USR1 and USR2 to the command alone. @returns whether there were any */
  signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child
    if (windows) return this.#child.kill(signal)
    try {
      return pid !== undefined && process.kill(personal.includes(signal) ? pid : this.#target, signal)
    } catch {
      return false
    }
  }

  /** Passes on a signal that we got, unless the command got it as well: a signal that was sent to all processes has also reached the guardian. */
  async pass(signal: NodeJS.Signals): Promise<void> {
    if (!this.guardian || !toAll.includes(signal)) return void this.signal(signal)
    if (this.#passing.has(signal)) return
    this.#passing.add(signal)
    const got = await this.guardian.alsoGot(signal)
    this.#passing.delete(signal)
    if (!got && this.#isThere) this.signal(signal)
  }

  /** Ends the command and all processes that it has started: TERM first, and KILL for the rest after the grace. */
  async end(): Promise<void> {
    this.signal('SIGTERM')
    // A stopped process does not handle signals.
    this.signal('SIGCONT')
    const last = performance.now() + this.#grace
    while (performance.now() < last) {
      if (!this.signal(0)) return
      await new Promise((resolve) => setTimeout(resolve, Math.min(look, last - performance.now())))
    }
    this.signal('SIGKILL')
  }
}

/** Why the command did not start. On Windows the command itself is started, elsewhere the gate. */
function whyNot({ code, message }: NodeJS.ErrnoException, command: readonly string[], program: string): Exit {
  if (windows) return new Exit(code === 'ENOENT' ? exitCodes.notFound : exitCodes.cannotRun, `cannot run ${command[0]}: ${message}`)
  const reason = code === 'ENOENT' ? `there is no ${program}` : code === 'EAGAIN' ? `${message}: is there a limit on processes?` : message
  return new Exit(exitCodes.failed, `cannot run ${command[0]}: ${reason}`)
}
