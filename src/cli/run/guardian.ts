import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { Exit, exitCodes } from '../exit.ts'
import { scriptForNode, scriptForShell } from './guardian-scripts.ts'

/** The folders where systems have `sleep`. A `sleep` elsewhere in PATH may be any program. */
const folders = ['/bin', '/usr/bin', '/usr/local/bin', '/run/current-system/sw/bin']

/** How long a signal that is sent to many processes may take to reach the last of them, in ms. */
const spread = 20
/** How long to wait for the guardian's answer, in ms: it may be stopped. */
const patience = 100
/** How much earlier the guardian may have got a signal that counts as the same as ours, in ms. */
const together = 1_000

/** Ends the command when `run` itself cannot: because `run` was killed, or was stopped until its lock ended. */
export class Guardian {
  readonly #grace: number
  readonly #signals: readonly string[]
  #process: ChildProcess | undefined
  /** The process that was told its target. */
  #aimed: ChildProcess | undefined
  #target = ''
  #dismissed = false
  /** Whether the guardian is a Node process: if there is no `sleep`, or it has failed. */
  #byNode: boolean
  /** Whether the present guardian has counted time. */
  #stood = false
  #struck = false
  /** Until when the command may live, by `performance.now()`. */
  #until = 0
  /** When the guardian got each signal. */
  readonly #got = new Map<string, number>()
  /** Called with each word of the guardian, and when it has ended. */
  readonly #listeners = new Set<(word: string) => void>()

  /** @param grace time between the two signals, in ms */
  constructor(grace: number, signals: readonly [NodeJS.Signals, NodeJS.Signals] = ['SIGTERM', 'SIGKILL']) {
    this.#signals = signals.map((signal) => signal.slice(3))
    this.#grace = grace
    this.#byNode = sleepProgram() === undefined
  }

  /** Starts its process already, without a target, so that a command can start sooner after a wait. */
  prepare(): void {
    if (!this.#byNode) this.#process ??= this.#start()
  }

  /** @param target the command's process id, or its group's as a negative number */
  aim(target: number): void {
    this.#target = `${target}`
  }

  /** Lets the command live for this many ms from now on, and no longer unless this is called again. */
  allow(ms: number): void {
    this.#until = performance.now() + ms
    // The guardian may have been killed.
    if (!this.#process || hasEnded(this.#process)) this.#process = this.#start()
    this.#tell()
  }

  /** Resolves once the guardian counts the allowed time. @throws Exit if no guardian can be started */
  async stands(): Promise<void> {
    if ((await this.#next(['ok', 'gone'])) === 'ok') return
    throw new Exit(exitCodes.failed, 'cannot start the guardian, which ends the command if run is killed: is there a limit on processes?')
  }

  /** Whether the guardian got the signal that this process has just got. */
  async alsoGot(signal: NodeJS.Signals): Promise<boolean> {
    await sleep(spread)
    const late = new AbortController()
    this.#process?.stdin?.write('ping\n')
    await Promise.race([this.#next(['pong', 'gone']), sleep(patience, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
    const at = this.#got.get(signal)
    this.#got.delete(signal)
    return at !== undefined && at > performance.now() - together
  }

  /** Whether the guardian has ended the command. */
  async struck(): Promise<boolean> {
    // If this process was stopped, all events arrive at once when it continues, in any order.
    await setImmediate()
    return this.#struck
  }

  /** The command has ended. */
  dismiss(): void {
    this.#dismissed = true
    this.#process?.stdin?.end(this.#aimed ? 'done\n' : undefined)
  }

  #tell(): void {
    if (this.#aimed !== this.#process) this.#process?.stdin?.write(`${this.#target}\n`)
    this.#aimed = this.#process
    this.#process?.stdin?.write(`${(Math.max(0, this.#until - performance.now()) / 1_000).toFixed(3)}\n`)
  }

  #start(): ChildProcess {
    const owner = `${process.pid}`
    const [program, ...args] = this.#byNode
      ? [process.execPath, '-e', scriptForNode, 'storelock-guardian', owner, `${this.#grace}`, ...this.#signals]
      : ['/bin/sh', '-c', scriptForShell, 'storelock-guardian', owner, (this.#grace / 10_000).toFixed(3), sleepProgram() as string, ...this.#signals]
    // It has a process session of its own, so no terminal ends or stops it, and an empty environment, so nothing changes what it does.
    const started = spawn(program as string, args, { detached: true, cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'] })
    started.on('error', () => this.#hear(started, 'gone'))
    started.on('exit', () => this.#hear(started, 'gone'))
    started.stdin?.on('error', () => {})
    let rest = ''
    started.stdout?.on('data', (text) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() as string
      for (const line of lines) this.#hear(started, line)
    })
    started.unref()
    for (const pipe of [started.stdin, started.stdout]) (pipe as unknown as { unref?(): void } | null)?.unref?.()
    return started
  }

  #hear(from: ChildProcess, line: string): void {
    if (this.#dismissed || from !== this.#aimed) return
    const [word = '', signal] = line.split(' ')
    if (signal) this.#got.set(`SIG${signal}`, performance.now())
    if (word === 'gone' && this.#stood && from.signalCode) this.#replace()
    else if (!this.#byNode && (word === 'gone' || word === 'blind')) {
      // The shell cannot start processes, or `sleep` does not work here.
      this.#byNode = true
      this.#replace()
    } else for (const listener of [...this.#listeners]) listener(word)
    this.#stood ||= word === 'ok'
    this.#struck ||= word === 'struck'
  }

  #replace(): void {
    this.#process?.stdin?.end('done\n')
    this.#stood = false
    this.#process = this.#start()
    this.#tell()
  }

  #next(words: readonly string[]): Promise<string> {
    return new Promise((resolve) => {
      const listener = (word: string): void => {
        if (!words.includes(word)) return
        this.#listeners.delete(listener)
        resolve(word)
      }
      this.#listeners.add(listener)
    })
  }
}

const hasEnded = ({ exitCode, signalCode, pid }: ChildProcess): boolean => pid === undefined || exitCode !== null || signalCode !== null

function sleepProgram(): string | undefined {
  return folders
    .map((folder) => `${folder}/sleep`)
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
