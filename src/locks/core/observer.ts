interface Sight {
  readonly mark: string
  readonly silent: number
  readonly at: number
}

/**
 * Measures how long sessions and holds have been silent, by looks and this context's monotonic clock alone. The time between two looks counts up to a
 * cap, so that a sleep of this context never counts as silence (T3 in docs/time.md).
 */
export class Observer {
  readonly sights = new Map<string, Sight>()

  /**
   * Notes a look at `who`, which showed `mark`.
   * @param sent when the look went out, and `got` when it came back: on the monotonic clock, in ms
   * @param cap the most that the time since the last look may count, in ms
   * @returns for how long, in ms, `mark` has certainly not changed
   */
  look(who: string, mark: string, sent: number, got: number, cap: number): number {
    const last = this.sights.get(who)
    const same = last?.mark === mark
    const silent = same ? last.silent + Math.max(0, Math.min(sent - last.at, cap)) : 0
    // The mark of a first look may have appeared just before the look came back. A later look proves that the mark had not changed when it was sent.
    this.sights.set(who, { mark, silent, at: same ? Math.max(sent, last.at) : got })
    return silent
  }

  /** How many marks it remembers. */
  get size(): number {
    return this.sights.size
  }

  /** Forgets all but these. */
  keep(whom: ReadonlySet<string>): void {
    for (const who of this.sights.keys()) if (!whom.has(who)) this.sights.delete(who)
  }
}
