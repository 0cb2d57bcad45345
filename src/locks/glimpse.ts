import { type LockView, type Run, type SessionRow, seqOf } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import type { Home } from './home.ts'
import { looksEvery } from './lookout.ts'

/** So many runs in front act before those behind them: the head, and the next who would. */
const near = 2

/**
 * For those far back in the line for one key: as long as its holder beats, nothing happens to them but by somebody whose hint tells of it. They
 * look at the rows of a few sessions then, and at nothing that grows with the line. At the record they look once in a lease, in case a hint was lost.
 */
export class Glimpse {
  readonly #session: Home
  readonly #key: string
  /** When the last look at the record went out, unless there was news since. */
  #readAt = -Infinity
  /** When the last look went out that showed a holder beating; -Infinity if none did since the lock changed hands, or lately. */
  #beatenAt = -Infinity

  constructor(session: Home, key: string) {
    this.#session = session
    this.#key = key
  }

  /** Something happened: the next look is one at the record. */
  forget(): void {
    this.#readAt = -Infinity
  }

  /** A look at the record went out at `sent`, and showed `view`; the one before it showed `before`. */
  saw(view: LockView, before: LockView, sent: number): void {
    this.#readAt = sent
    if (view.token !== before.token) this.#beatenAt = -Infinity
    else this.#compare(view.sessions, before, sent)
  }

  #compare(sessions: LockView['sessions'], before: LockView, sent: number): void {
    const beaten = before.holders.some((holder) => (seqOf(holder, sessions) ?? 0) > (seqOf(holder, before.sessions) ?? Infinity))
    if (beaten) this.#beatenAt = sent
    else if (sent > this.#beatenAt + looksEvery(before)) this.#beatenAt = -Infinity
  }

  /**
   * The record as it was last seen, with the rows that matter as they are now; `undefined` where it has to be looked at itself.
   * @param runs how many runs stand in front of this session's first, and `front` the last of them
   */
  async look(
    before: LockView,
    { runs, front }: { readonly runs: number; readonly front: Run | undefined },
    sent: number,
  ): Promise<LockView | undefined> {
    const session = this.#session
    const { id, settings } = session
    const { store, duration } = settings
    const { holders, queue } = before
    const due = sent >= this.#readAt + leaseFor(duration) || this.#beatenAt === -Infinity
    const placed = runs >= near && runs < queue.length
    if (due || !placed || !session.hears || !store.rows || holders.some((holder) => holder.session === id)) return undefined
    const wanted = new Set([id, ...[front, queue[0], ...holders].flatMap((claim) => claim?.session ?? [])])
    const readAt = this.#readAt
    const sessions = await session.read(async (store) => await store.rows?.([...wanted], this.#key), true)
    if (sessions) this.#compare(sessions, before, sent)
    const own = sessions?.get(id)
    const stands = sessions?.size === wanted.size && own && !isChallenged(own) && this.#beatenAt > -Infinity && this.#readAt === readAt
    return stands ? { ...before, sessions } : undefined
  }
}

const isChallenged = ({ seq, challenged }: SessionRow): boolean => challenged === seq
