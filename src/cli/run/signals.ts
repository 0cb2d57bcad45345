import { codeOfSignal, Exit } from '../exit.ts'
import type { Child } from './child.ts'

/** What ends a program that does not expect it. */
const ending = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
/** What a terminal sends to the whole of our process group: a command that stays in it has had it already. */
const ofTerminal: readonly string[] = ['SIGINT', 'SIGQUIT']

/** Where the signals go that `run` gets: they call off its wait, and then they are the command's. */
export class Signals {
  readonly #wait = new AbortController()
  readonly #forget: (() => void)[] = []
  #pass: ((signal: NodeJS.Signals) => void) | undefined

  constructor() {
    for (const signal of ending) {
      this.#on(signal, () => (this.#pass ? this.#pass(signal) : this.#wait.abort(new Exit(codeOfSignal(signal)))))
    }
  }

  /** Aborts with the {@link Exit} that a signal asks for, as long as there is no command. */
  get waiting(): AbortSignal {
    return this.#wait.signal
  }

  /** From now on signals are the command's. @returns takes them back: the command never began */
  passTo(child: Child, foreground: boolean): () => void {
    const before = this.#forget.length
    const takeBack = (): void => {
      this.#pass = undefined
      for (const forget of this.#forget.splice(before)) forget()
    }
    this.#pass = (signal) => {
      if (!foreground || !ofTerminal.includes(signal)) child.signal(signal)
    }
    // The terminal stops and continues all of our group by itself.
    if (foreground || process.platform === 'win32') return takeBack
    for (const signal of ['SIGWINCH', 'SIGCONT'] as const) this.#on(signal, () => child.signal(signal))
    this.#on('SIGTSTP', () => {
      // Nobody could continue a command that is alone in its session, so its TSTP would do nothing.
      child.signal('SIGSTOP')
      process.kill(process.pid, 'SIGSTOP')
    })
    return takeBack
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener)
    this.#forget.push(() => process.off(signal, listener))
  }

  /** Leaves the signals to the system again. */
  close(): void {
    for (const forget of this.#forget) forget()
  }
}
