import { LockError } from '../protocol/index.ts'
import type { Line } from './line.ts'
import type { Session } from './session.ts'

/** Notices that a session waits for locks that it holds itself: a hold of its own has kept a request of its own waiting for a whole duration. */
export class Deadlocks {
  readonly #session: Session
  readonly #warned = new Set<string>()
  #rejectedAt = -Infinity

  constructor(session: Session) {
    this.#session = session
  }

  /**
   * Says so, once for each name.
   * @param lines those of the session, of which the first was found to wait for itself
   * @returns the error for one of those that wait there, where they are to be rejected: one at a time, since that may be enough
   */
  found(lines: readonly Line[]): LockError | undefined {
    const { settings, clock } = this.#session
    const names = lines.map(({ name }) => name)
    const [name = ''] = names
    const quoted = names.map((each) => JSON.stringify(each))
    const why = quoted[1]
      ? `you hold what you wait for yourself, in a circle: ${[...quoted, quoted[0]].join(' → ')}`
      : `you wait for ${quoted}, which you hold yourself: take it by locks.reentrant(${quoted}), or pass the held lock on`
    const error = new LockError('deadlock', why, { heldBy: 'session', holders: lines[0]?.view.holders })
    if (!this.#warned.has(name)) {
      this.#warned.add(name)
      this.#session.warn({ type: 'deadlock', names, error })
    }
    const now = clock.monotonic()
    if (settings.deadlock !== 'reject' || now < this.#rejectedAt + settings.duration) return undefined
    this.#rejectedAt = now
    return error
  }
}
