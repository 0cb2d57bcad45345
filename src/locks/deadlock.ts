import { LockError, type LockView } from '../protocol/index.ts'
import type { Home } from './home.ts'

type Line = { readonly name: string; readonly view: LockView }

/** Notices that a session waits for its own locks: a lock that it holds has kept a request of its own waiting for a whole duration. */
export class Deadlocks {
  readonly #session: Home
  readonly #warned = new Set<string>()
  #rejectedAt = -Infinity

  constructor(session: Home) {
    this.#session = session
  }

  /**
   * Warns, once for each cycle.
   * @param lines the session's lines that wait for locks of its own; the first one was found just now
   * @returns the error for one of the requests in the cycle, if the settings say `reject`: one request at a time, since that may be enough
   */
  found(lines: readonly Line[]): LockError | undefined {
    const { settings, clock } = this.#session
    const names = lines.map(({ name }) => name)
    const circle = [...names, names[0]].map((name) => JSON.stringify(name)).join(' → ')
    const why = `you wait for a lock that you hold yourself, ${circle}: locks.reentrant() may help`
    const error = new LockError('deadlock', why, { heldBy: 'session', holders: lines[0]?.view.holders })
    if (!this.#warned.has(circle)) {
      this.#warned.add(circle)
      this.#session.warn({ type: 'deadlock', names, error })
    }
    const now = clock.monotonic()
    if (settings.deadlock !== 'reject' || now < this.#rejectedAt + settings.duration) return undefined
    this.#rejectedAt = now
    return error
  }
}
