/** A lease, as far as it has to be kept alive and ended in time. All times are in ms on the monotonic clock. */
export interface Timed {
  /** Whether it leans on the session's row instead of a lease of its own. */
  readonly leans: boolean
  readonly renewsItself: boolean
  /** When its last renewal of its own was tried, and the pause between two of them. */
  readonly triedAt: number
  readonly pace: number
  /** When to check for a pin. */
  readonly pinsAt: number
  readonly endsAt: number
}

/** What is to be done for a session's leases now. */
export interface Due<L> {
  /** These have passed their deadline. This comes first: what follows is for the leases that are left. */
  readonly lapsed: readonly L[]
  /** A beat renews all that lean on the session. */
  readonly beat: boolean
  readonly renewals: readonly L[]
  readonly pinChecks: readonly L[]
}

/** When the leases of one session need something: a tenth of the duration after the last beat or renewal, or at their deadline. */
export class Rhythm<L extends Timed> {
  readonly #pace: number
  #nextBeat = Infinity

  /** @param pace the pause between two beats, in ms */
  constructor(pace: number) {
    this.#pace = pace
  }

  /** A lease is kept from now on. @returns when it next needs something */
  keep(lease: L, now: number): number {
    if (this.#nextBeat === Infinity) this.#nextBeat = now + this.#pace
    return this.next(lease)
  }

  /** When a lease next needs something: a renewal of its own, the session's beat, or the end. */
  next({ renewsItself, triedAt, pace, leans, pinsAt, endsAt }: L): number {
    return Math.min(renewsItself ? triedAt + pace : leans ? this.#nextBeat : pinsAt, endsAt)
  }

  /** Time has passed. */
  tick(all: Iterable<L>, now: number): Due<L> {
    const lapsed: L[] = []
    const left: L[] = []
    for (const lease of all) (now < lease.endsAt ? left : lapsed).push(lease)
    const beat = now >= this.#nextBeat && left.some(({ leans }) => leans)
    if (now >= this.#nextBeat) this.#nextBeat = beat ? now + this.#pace : Infinity
    return {
      lapsed,
      beat,
      renewals: left.filter(({ renewsItself, triedAt, pace }) => renewsItself && now >= triedAt + pace),
      pinChecks: left.filter(({ pinsAt }) => now >= pinsAt),
    }
  }
}
