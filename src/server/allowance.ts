/** How many senders are remembered. */
const capacity = 10_000

/**
 * Allows each sender `rate` calls a second, with bursts of twice as many.
 *
 * The packages for this do not fit: rate-limiter-flexible returns a promise and sets a timer for each sender, and limiter is one bucket for one
 * sender, without a map of senders. The server checks this before it does anything else for a request.
 *
 * @param rate how many calls a second each sender may make
 */
export function makeAllowance(rate: number): (who: string) => boolean {
  const purses = new Map<string, { left: number; at: number }>()
  return (who) => {
    const now = performance.now()
    const purse = purses.get(who) ?? { left: 2 * rate, at: now }
    if (!purses.has(who) && purses.size >= capacity) purses.clear()
    purses.set(who, purse)
    // A sender that exceeds its rate still gets that rate.
    purse.left = Math.min(2 * rate, purse.left + ((now - purse.at) / 1_000) * rate)
    purse.at = now
    if (purse.left < 1) return false
    purse.left--
    return true
  }
}
