import type { Clock } from '../../src/locks/clock.ts'

export function manualClock(): Clock & { advance(ms: number): Promise<void> } {
  let time = 0
  const timers = new Set<{ at: number; run: () => void }>()
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return {
    now: () => 1_700_000_000_000 + time,
    monotonic: () => time,
    after(ms, run) {
      const timer = { at: time + Math.max(0, ms), run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    random: () => 0.5,
    async advance(ms) {
      const end = time + ms
      for (;;) {
        await settle()
        let next: { at: number; run: () => void } | undefined
        for (const timer of timers) if (timer.at <= end && (!next || timer.at < next.at)) next = timer
        if (!next) break
        timers.delete(next)
        time = Math.max(time, next.at)
        next.run()
      }
      time = end
      await settle()
    },
  }
}
