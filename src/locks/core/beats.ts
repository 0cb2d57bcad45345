import type { SessionRow } from '../../protocol/index.ts'
import type { Beats } from './grant.ts'

/** What the answer to a beat says about the session's holds. */
export interface BeatNews {
  /** Some of the session's holds were taken. Until the session knows which, this beat renews none of its holds. */
  readonly taken: boolean
  /** Requests have asked for locks of this session. */
  readonly asked: boolean
  /** The keys of these locks; `undefined` if they are not known. */
  readonly keys: readonly string[] | undefined
}

/** What the beats of one session have shown: when they last renewed the holds that lean on it, and how much of the news it knows. */
export class SessionBeats implements Beats {
  renewedAt = -Infinity
  renewedDrift = 0
  /** How many evictions, and how many asks, the session knows of. */
  evictions = 0
  asks = 0
  /** Whether the last look for asks failed: the next beat leads to another one. */
  asksMissed = false

  /** A beat was answered. @returns what is new since the last answer that was counted */
  news({ evictions, asks, news = [] }: SessionRow): BeatNews {
    const count = evictions - this.evictions + asks - this.asks
    const known = !this.asksMissed && count > 0 && count <= news.length
    const keys = known ? news.slice(news.length - count) : undefined
    return { taken: evictions !== this.evictions, asked: this.asksMissed || asks !== this.asks, keys }
  }

  /** The session has handled the news of a beat, so the beat renews the holds that lean on the session, counted from when it was sent. */
  count({ evictions, asks }: SessionRow, sent: number, drift: number): void {
    this.evictions = evictions
    this.asks = asks
    this.#renew(sent, drift)
  }

  /** A user's transaction has renewed the session's row. That renews the holds that lean on it, unless some of them were taken before. */
  renewedWithin({ evictions }: SessionRow, sent: number, drift: number): void {
    if (evictions === this.evictions) this.#renew(sent, drift)
  }

  #renew(sent: number, drift: number): void {
    if (sent < this.renewedAt) return
    this.renewedAt = sent
    this.renewedDrift = drift
  }
}
