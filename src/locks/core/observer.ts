interface Sight {
  readonly mark: string
  readonly silent: number
  readonly at: number
}

/**
 * Measures how long others have been silent, by looks and this context's monotonic clock alone.
 * Source of the rule: DESIGN §5.3. A look that comes late counts as much as one in time, so that a sleep never counts.
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
    // What a first look showed may have become so just before it came back; a later look bounds it from when it went out.
    this.sights.set(who, { mark, silent, at: same ? Math.max(sent, last.at) : got })
    return silent
  }

  /** How many it has looked at. */
  get size(): number {
    return this.sights.size
  }

  /** Forgets all but these. */
  keep(whom: ReadonlySet<string>): void {
    for (const who of this.sights.keys()) if (!whom.has(who)) this.sights.delete(who)
  }
}
