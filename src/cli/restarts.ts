import { LockError } from '../index.ts'
import { say } from './output.ts'
import { sleep } from './sleep.ts'

/** The pause between two attempts to reach a server, in ms. */
const pause = 250

/** The codes with which a connection fails if the server has just ended, or has not started yet. */
const passing: readonly unknown[] = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET']

interface Wait {
  /** In ms. */
  readonly timeout: number | undefined
  /** When the wait began, on the clock of `performance.now()`. */
  readonly since: number
  readonly signal: AbortSignal
}

/** Repeats an attempt until an unreachable lock server is back, within a timeout. @param attempt gets the rest of the timeout, in ms */
export async function throughRestarts<T>({ timeout, since, signal }: Wait, attempt: (left: number | undefined) => Promise<T>): Promise<T> {
  if (timeout === undefined) return await attempt(timeout)
  const end = since + timeout
  for (let said = false; ; said = true) {
    try {
      return await attempt(Math.max(0, Math.ceil(end - performance.now())))
    } catch (error) {
      if (!(error instanceof LockError) || error.code !== 'store' || !mayComeBack(error)) throw error
      if (performance.now() + pause > end) throw new LockError('timeout', error.message, { cause: error })
      if (!said) say(`${error.message} Trying again`)
    }
    await sleep(pause, signal)
  }
}

function mayComeBack({ cause }: LockError): boolean {
  const { code, name, cause: deeper } = (cause ?? {}) as { code?: unknown; name?: unknown; cause?: { code?: unknown } }
  return name === 'TimeoutError' || passing.includes(code) || passing.includes(deeper?.code)
}
