/** How many senders are remembered. */
const capacity = 10_000

/**
 * Limits each sender to `rate` times a second, with bursts of twice as many.
 *
 * Written out: of the packages for this, rate-limiter-flexible answers by a promise and sets a timer for each sender, and limiter is one bucket for
 * one sender, without the map of them. This is asked before anything else is done for a request.
 *
 * @param rate how many times a second each one may
 */
export function makeAllowance(rate: number): (who: string) => boolean {
  const purses = new Map<string, { left: number; at: number }>()
  return (who) => {
    const now = performance.now()
    const purse = purses.get(who) ?? { left: 2 * rate, at: now }
    if (!purses.has(who) && purses.size >= capacity) purses.clear()
    purses.set(who, purse)
    // A sender that asks too often still gets its rate.
    purse.left = Math.min(2 * rate, purse.left + ((now - purse.at) / 1_000) * rate)
    purse.at = now
    if (purse.left < 1) return false
    purse.left--
    return true
  }
}
