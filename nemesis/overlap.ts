import { byKey, type Hold, keyOf } from './history.ts'

/** How long two workers may believe that they hold one lock, in ms. */
export interface Allowed {
  /** How much the clocks of two workers may differ. */
  readonly skew: number
  /** The limit if the store was wiped: the old holder may learn of that only when its lock expires. */
  readonly afterWipe: number
}

/** The longest times that two workers believed so, in ms. */
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
      // The holder with the older token must have known of its loss by then.
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
