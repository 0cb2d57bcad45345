import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { build, play } from '../../sim/play.ts'

const hours = 20 * 3_600_000

test('whatever goes wrong, all promises hold, for 20 simulated hours', { timeout: 120_000 }, async () => {
  const file = await build()
  try {
    const outcome = await play(file, { seed: 2, ms: hours })
    expect(outcome.failed?.failure).toBeUndefined()
    expect(outcome.ms).toBeGreaterThanOrEqual(hours)
    expect(outcome.tally.told['fenced write']).toBeGreaterThan(10_000)
  } finally {
    rmSync(file, { force: true })
  }
})
