import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { codeOfSignal, Exit, exitCodes } from '../exit.ts'
import { Guardian } from './guardian.ts'

const windows = process.platform === 'win32'

/** How often it is looked whether a group that was told to end has, in ms. */
const look = 20

/** What the command may know, and what it has started dies of. */
const personal: readonly unknown[] = ['SIGUSR1', 'SIGUSR2']

/** Waits for a word before it becomes the command, so that the guardian knows of it first; without the word it ends. */
const gate = 'read -r word <&3 || exit 125; exec 3<&-; exec "$@"'

export interface ChildOptions {
  readonly env: NodeJS.ProcessEnv
  /** Stays in our process group, for what needs the terminal. Then what it starts is not ended with it. */
  readonly foreground: boolean
  /** Between TERM and KILL, in ms. */
  readonly grace: number
}

/** The command of a `run`, with all that it starts, and with its guardian. */
export class Child {
  /** The exit code, once the command has ended: 128 and the number of a signal that ended it. Rejects if it cannot be run. */
  readonly ended: Promise<number>
  readonly guardian: Guardian | undefined
  readonly #child: ChildProcess
  readonly #target: number
  readonly #grace: number

  /** Starts what waits to become the command: see {@link go}. */
  constructor(command: readonly string[], { env, foreground, grace }: ChildOptions) {
    const [program = '', ...args] = windows ? command : ['/bin/sh', '-c', gate, 'storelock', ...command]
    this.#child = spawn(program, args, {
      env,
      detached: !foreground && !windows,
      stdio: ['inherit', 'inherit', 'inherit', windows ? 'ignore' : 'pipe'],
    })
    this.#grace = grace
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

  /** Lets the command begin. */
  go(): void {
    const word = this.#child.stdio[3] as Writable | null
    word?.on('error', () => {})
    word?.end('go\n')
  }

  /** Sends a signal to the command and all that it has started, USR1 and USR2 to the command alone. @returns whether anybody was there */
  signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child
    if (windows) return this.#child.kill(signal)
    try {
      return pid !== undefined && process.kill(personal.includes(signal) ? pid : this.#target, signal)
    } catch {
      return false
    }
  }

  /** Ends the command and all that it has started: asks first, and kills what is left after the grace. */
  async end(): Promise<void> {
    this.signal('SIGTERM')
    // Who is stopped hears nothing.
    this.signal('SIGCONT')
    const last = performance.now() + this.#grace
    while (performance.now() < last) {
      if (!this.signal(0)) return
      await new Promise((resolve) => setTimeout(resolve, Math.min(look, last - performance.now())))
    }
    this.signal('SIGKILL')
  }
}
