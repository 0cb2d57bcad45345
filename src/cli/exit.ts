import { constants } from 'node:os'
import { LockError } from '../index.ts'

/** The program's exit codes, as in `flock(1)` and `timeout(1)`. The code for a signal is 128 plus its number. */
export const exitCodes = {
  /** The answer is no: the lock is not available, is not held, or `doctor` found a problem. */
  no: 1,
  /** The lock was not free within the timeout. */
  timeout: 124,
  /** Storelock itself failed, was called with invalid options, or lost the lock. */
  failed: 125,
  /** The command cannot be executed. */
  cannotRun: 126,
  /** There is no such command. */
  notFound: 127,
} as const

export const exitHelp = `
Exit codes:
    1  no: the lock was not free (--nonblock), is not held or is held by a live holder, or doctor found something
  124  the lock was not free in time (--timeout)
  125  storelock itself failed, was called with wrong options, or lost the lock
  126  the command cannot be run; 127: there is no such command
  128+n  ended by signal n, as a shell shows it: 130 for Ctrl-C
  run ends as its command: with its exit code, or by its signal.`

/** Ends the program with a code, after the cleanup. */
export class Exit extends Error {
  readonly code: number

  /** @param message for stderr; '' if there is nothing more to say */
  constructor(code: number, message = '') {
    super(message)
    this.code = code
  }
}

/** Ends the program by a signal, after the cleanup. */
export class Killed extends Exit {
  readonly signal: NodeJS.Signals
  /** Whether it is known that no core file is written. */
  readonly quiet: boolean

  constructor(signal: NodeJS.Signals, quiet = false) {
    super(codeOfSignal(signal))
    this.signal = signal
    this.quiet = quiet
  }
}

export const codeOfSignal = (signal: NodeJS.Signals): number => 128 + (constants.signals[signal] ?? 0)

/** The exit code for an error. */
export function codeOf(error: unknown): number {
  if (error instanceof Exit) return error.code
  if (!(error instanceof LockError)) return exitCodes.failed
  if (error.code === 'timeout') return exitCodes.timeout
  return ['held', 'not-held', 'not-owner'].includes(error.code) ? exitCodes.no : exitCodes.failed
}
