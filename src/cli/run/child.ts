import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { codeOfSignal, Exit, exitCodes } from '../exit.ts'
import { Guardian } from './guardian.ts'

const windows = process.platform === 'win32'

/** How often to check whether a group that was told to end has ended, in ms. */
const look = 20

/** Signals that the command may handle, but that would kill the processes it has started. */
const personal: readonly unknown[] = ['SIGUSR1', 'SIGUSR2']

/** Waits for a line before it executes the command, so that the guardian knows it first; without the line it exits. */
const gate = 'read -r word <&3 || exit 125; exec 3<&-; exec "$@"'

export interface ChildOptions {
  readonly env: NodeJS.ProcessEnv
  /** Stays in our process group, for commands that need the terminal. Then the processes that it starts are not ended with it. */
  readonly foreground: boolean
  /** The time between TERM and KILL, in ms. */
  readonly grace: number
}

/** The command of a `run`, with all processes that it starts, and with its guardian. */
export class Child {
  /** The exit code, once the command has ended: 128 plus the number of a signal that ended it. Rejects if it cannot be executed. */
  readonly ended: Promise<number>
  readonly guardian: Guardian | undefined
  readonly #child: ChildProcess
  readonly #target: number
  /** The command, without its arguments. */
  readonly name: string
  readonly #grace: number

  /** Starts a process that waits to execute the command: see {@link go}. */
  constructor(command: readonly string[], { env, foreground, grace }: ChildOptions) {
    const [program = '', ...args] = windows ? command : ['/bin/sh', '-c', gate, 'storelock', ...command]
    this.#child = spawn(program, args, {
      env,
      detached: !foreground && !windows,
      stdio: ['inherit', 'inherit', 'inherit', windows ? 'ignore' : 'pipe'],
    })
    this.#grace = grace
    this.name = command[0] ?? ''
    const { pid = 0 } = this.#child
    this.#target = foreground || windows ? pid : -pid
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        reject(new Exit(error.code === 'ENOENT' ? exitCodes.notFound : exitCodes.cannotRun, `cannot run ${command[0]}: ${error.message}`))
      })
      this.#child.once('exit', (code, signal) => resolve(signal ? codeOfSignal(signal) : (code ?? exitCodes.failed)))
    })
    this.ended.catch(() => {})
    if (pid && !windows) this.guardian = new Guardian(this.#target, grace)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Lets the command start. */
  go(): void {
    const word = this.#child.stdio[3] as Writable | null
    word?.on('error', () => {})
    word?.end('go\n')
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
