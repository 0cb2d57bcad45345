import { Killed } from '../exit.ts'
import type { Child } from './child.ts'

/** Signals that end a program by default. */
const ending = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
/** Signals that a terminal sends to our whole process group: a command in it has already got them. */
const ofTerminal: readonly string[] = ['SIGINT', 'SIGQUIT']
/** Signals that Node handles, or that no process can handle. */
const ofNode: readonly string[] = ['SIGKILL', 'SIGSTOP', 'SIGCHLD', 'SIGPROF', 'SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP']

/** Handles the signals that `run` gets: they cancel its wait, or go to the command. */
export class Signals {
  readonly #wait = new AbortController()
  readonly #forget: (() => void)[] = []
  #pass: ((signal: NodeJS.Signals) => void) | undefined

  readonly #ignored: readonly NodeJS.Signals[]

  /** @param ignored the signals that were ignored when the program started, and stay ignored */
  constructor(ignored: readonly NodeJS.Signals[], quiet: boolean) {
    this.#ignored = ignored
    for (const signal of ignored) if (!ofNode.includes(signal)) this.#listen(signal, () => {})
    for (const signal of ending) this.#on(signal, () => (this.#pass ? this.#pass(signal) : this.#wait.abort(new Killed(signal, quiet))))
  }

  /** Aborts with {@link Killed} for a signal, as long as there is no command. */
  get waiting(): AbortSignal {
    return this.#wait.signal
  }

  /** From now on signals go to the command. @returns how to undo this, if the command never starts */
  passTo(child: Child, foreground: boolean): () => void {
    const before = this.#forget.length
    const takeBack = (): void => {
      this.#pass = undefined
      for (const forget of this.#forget.splice(before)) forget()
    }
    this.#pass = (signal) => {
      if (!foreground || !ofTerminal.includes(signal)) void child.pass(signal)
    }
    // The terminal itself stops and continues our whole group.
    if (foreground || process.platform === 'win32') return takeBack
    for (const signal of ['SIGWINCH', 'SIGCONT'] as const) this.#on(signal, () => child.signal(signal))
    this.#on('SIGTSTP', () => {
      // The command is alone in its process session, so the system ignores TSTP for it.
      child.signal('SIGSTOP')
      process.kill(process.pid, 'SIGSTOP')
    })
    return takeBack
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    if (!this.#ignored.includes(signal)) this.#listen(signal, listener)
  }

  #listen(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener)
    this.#forget.push(() => process.off(signal, listener))
  }

  /** Restores the default handling of the signals. */
  close(): void {
    for (const forget of this.#forget) forget()
  }
}
