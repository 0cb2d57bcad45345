import { byKey, type Hold, keyOf } from './history.ts'

/** For how long two may believe that they hold one lock, in ms. */
export interface Allowed {
  /** By how much the clocks of two workers may differ. */
  readonly skew: number
  /** If one has a lock of a store that was wiped: it may learn of that as late as at the end of its lease. */
  readonly afterWipe: number
}

/** The longest time that two did. */
export interface Overlap {
  readonly longest: number
  readonly longestAfterWipe: number
}

/** @param report called with each overlap that is longer than allowed */
export function overlaps(holds: readonly Hold[], { skew, afterWipe }: Allowed, report: (text: string) => void): Overlap {
  let [longest, longestAfterWipe] = [0, 0]
  const say = (hold: Hold, ms: number) => report(`${hold.key} with token ${hold.token}, for ${ms.toFixed(1)} ms`)

  for (const ofKey of byKey(holds).values()) {
    let latest = Number.NEGATIVE_INFINITY
    for (const hold of ofKey.toSorted((a, b) => a.token - b.token)) {
      // The holder with the older token must have known before.
      const ms = latest - hold.from
      longest = Math.max(longest, ms)
      if (ms > skew) say(hold, ms)
      latest = Math.max(latest, hold.until)
    }
  }

  for (const ofLock of byKey(holds.map((hold) => ({ key: keyOf(hold.key), hold }))).values()) {
    const latest = new Map<string, number>()
    for (const { hold } of ofLock.toSorted((a, b) => a.hold.from - b.hold.from)) {
      const { key, from, until } = hold
      for (const [other, end] of latest) {
        if (other === key) continue
        const ms = Math.min(end, until) - from
        longestAfterWipe = Math.max(longestAfterWipe, ms)
        if (ms > afterWipe + skew) say(hold, ms)
      }
      latest.set(key, Math.max(until, latest.get(key) ?? until))
    }
  }
  return { longest, longestAfterWipe }
}
