import { type ChildProcess, spawn } from 'node:child_process'

/**
 * A shell, since that starts in a millisecond. It is told again and again how long the command may live, in seconds. If `run` is stopped, that time
 * runs out; if `run` ends, the input ends. Either way the command has to be ended.
 *
 * Arguments: the process to kill (for a process group, with a minus before it), and a tenth of the grace. It ignores the signals that end a whole
 * machine or container. A timer that has fired is not cancelled any more.
 */
const script = `
trap '' HUP INT QUIT TERM
target=$1 tenth=$2 timer=
strike() {
  kill -s TERM -- "$target"
  kill -s CONT -- "$target"
  for part in 1 2 3 4 5 6 7 8 9 10; do
    kill -s 0 -- "$target" || return
    sleep "$tenth"
  done
  kill -s KILL -- "$target"
}
call_off() {
  [ "$timer" ] && kill -s USR1 "$timer" && wait "$timer"
}
while read -r word; do
  call_off
  [ "$word" = done ] && exit
  (
    nap=
    trap 'kill -s KILL $nap; exit' USR1
    sleep "$word" & nap=$!
    wait "$nap"
    trap '' USR1
    strike
  ) & timer=$!
done
call_off
strike
`

/** Ends the command when `run` itself cannot: if it was killed, or stopped until its lock has ended. */
export class Guardian {
  readonly #target: number
  readonly #grace: number
  #shell: ChildProcess | undefined

  /**
   * @param target the command's process id, or its group's as a negative number
   * @param grace time between TERM and KILL, in ms
   */
  constructor(target: number, grace: number) {
    this.#target = target
    this.#grace = grace
  }

  /** Lets the command live for this many ms from now on, and no longer unless this is called again. */
  allow(ms: number): void {
    // Somebody may have killed it.
    if (!this.#shell || this.#shell.exitCode !== null || this.#shell.signalCode !== null) this.#shell = this.#start()
    this.#shell.stdin?.write(`${(Math.max(0, ms) / 1_000).toFixed(3)}\n`)
  }

  /** The command has ended. */
  dismiss(): void {
    this.#shell?.stdin?.end('done\n')
  }

  #start(): ChildProcess {
    const args = ['-c', script, 'storelock-guardian', `${this.#target}`, (this.#grace / 10_000).toFixed(3)]
    // In a process session of its own, which no terminal ends or stops.
    const shell = spawn('/bin/sh', args, { detached: true, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] })
    shell.on('error', () => {})
    shell.stdin?.on('error', () => {})
    shell.unref()
    return shell
  }
}
