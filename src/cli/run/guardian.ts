import { type ChildProcess, spawn } from 'node:child_process'

/**
 * A shell, since that starts in a millisecond. It is told how long the command may live, in seconds, again and again; the time runs
 * out where `run` is stopped, and the end of its input is the end of `run`. Either way the command has to go.
 *
 * Arguments: whom to kill (a process group, with a minus before it), and a tenth of the grace. Signals that a whole machine or
 * container is ended with are not for it. A timer that has begun to strike is not called off any more.
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

/** Ends the command where `run` itself cannot: killed without a word, or stopped until its lock is over. */
export class Guardian {
  readonly #target: number
  readonly #grace: number
  #shell: ChildProcess | undefined

  /**
   * @param target the command's process, or its group as a number below zero
   * @param grace between TERM and KILL, in ms
   */
  constructor(target: number, grace: number) {
    this.#target = target
    this.#grace = grace
  }

  /** Lets the command live for so many ms from now on, and no longer unless it is told again. */
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
    // In a session of its own, which no terminal ends or stops.
    const shell = spawn('/bin/sh', args, { detached: true, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] })
    shell.on('error', () => {})
    shell.stdin?.on('error', () => {})
    shell.unref()
    return shell
  }
}
