import { type LockView, type Run, type SessionRow, seqOf } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import { looksEvery } from './core/silence.ts'
import type { Home } from './home.ts'

/** With fewer runs than this in front, a session always reads the record: the first two in the queue act first if a holder is gone. */
const near = 2

/**
 * The look of waiters far back in the queue for one key. As long as the holder beats, they have nothing to do unless a hint arrives, so they read the
 * rows of a few sessions, and nothing that grows with the queue. They read the record once per lease, in case a hint was lost.
 */
export class Glimpse {
  readonly #session: Home
  readonly #key: string
  /** When the last look at the record was sent; -Infinity if something has happened since. */
  #readAt = -Infinity
  /** When the last look that showed the holder beating was sent; -Infinity if no look has shown it recently, or since the lock changed hands. */
  #beatenAt = -Infinity

  constructor(session: Home, key: string) {
    this.#session = session
    this.#key = key
  }

  /** Something happened: the next look reads the record. */
  forget(): void {
    this.#readAt = -Infinity
  }

  /** A look at the record was sent at `sent`, and showed `view`; the one before it showed `before`. */
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
   * The record as it was last seen, with the present rows that matter; `undefined` if the record itself has to be read.
   * @param runs how many runs are in front of this session's first, and `front` the last of them
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
    if (due || !placed || !session.hints.come || !store.rows || holders.some((holder) => holder.session === id)) return undefined
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
