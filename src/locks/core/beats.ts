import type { SessionRow } from '../../protocol/index.ts'
import type { Beats } from './grant.ts'

/** What a beat's answer tells of the holds that lean on the session. */
export interface BeatNews {
  /** Someone took holds of this session's: until it is known which, this beat renews none. */
  readonly taken: boolean
  /** Someone asks for locks of this session's. */
  readonly asked: boolean
  /** Of which keys; `undefined` if that is not known. */
  readonly keys: readonly string[] | undefined
}

/** What the beats of one session have shown: when they last renewed what leans on it, and of how much news it knows. */
export class SessionBeats implements Beats {
  renewedAt = -Infinity
  renewedDrift = 0
  /** The news that it knows of. */
  evictions = 0
  asks = 0

  /** A beat was answered. */
  news({ evictions, asks, news = [] }: SessionRow): BeatNews {
    const count = evictions - this.evictions + asks - this.asks
    const keys = count > 0 && count <= news.length ? news.slice(news.length - count) : undefined
    return { taken: evictions !== this.evictions, asked: asks !== this.asks, keys }
  }

  /** What a beat's answer told of is known by now, so that it renews what leans on the session: from when it went out. */
  count({ evictions, asks }: SessionRow, sent: number, drift: number): void {
    this.evictions = evictions
    this.asks = asks
    this.#renew(sent, drift)
  }

  /** A transaction of the user's has renewed the session's row, and with it all that leans on it, unless some of that was taken before. */
  renewedWithin({ evictions }: SessionRow, sent: number, drift: number): void {
    if (evictions === this.evictions) this.#renew(sent, drift)
  }

  #renew(sent: number, drift: number): void {
    if (sent < this.renewedAt) return
    this.renewedAt = sent
    this.renewedDrift = drift
  }
}
