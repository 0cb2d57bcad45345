import { type Command, lossOf } from '../protocol/index.ts'
import type { Home } from './home.ts'
import type { Lines } from './lines.ts'
import type { Reply } from './outbox.ts'

/** Handles every reply before its caller gets it: tells everything else that it concerns, in this session and in other ones. */
export class Arrivals {
  readonly #session: Home
  readonly #lines: Lines

  constructor(session: Home, lines: Lines) {
    this.#session = session
    this.#lines = lines
  }

  /** @param late the command, if its caller was already told that there is no answer */
  passOn(reply: Reply, late?: Command): void {
    const { outcome } = reply
    const session = this.#session
    // Withdraw that request, unless this session has learned of its grant in another way.
    if (late?.type === 'request' && !this.#lines.get(late.key)?.state.answers(late.number))
      session.letGo({ key: late.key, session: late.session, number: late.number }, late.key)
    if (!('grants' in outcome)) return
    const { record, grants, evicted } = outcome
    const { key } = record
    const { hints, seen } = session
    hints.saw(record)
    const line = this.#lines.get(key)
    for (const holder of grants) {
      const { session: id, number, token, previous, reserve } = holder
      if (id === session.id) line?.carryOut(line.state.granted(holder, record, reply, session.clock.monotonic()))
      else {
        hints.send(id, { key, number, token, previous, ...(reserve !== undefined && { reserve }) })
        seen.tell({ type: 'granted', key, session: id, number, token, own: false, confirmed: holder.unconfirmed === undefined, lingered: false })
      }
    }
    for (const { session: id, number, token } of evicted) {
      const reason = lossOf(record, token)
      seen.tell({ type: 'evicted', key, session: id, token, reason })
      if (id === session.id) line?.carryOut(line.state.robbed(number, token, reason))
      else hints.send(id, { key })
    }
  }
}
