import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build, play } from '../../sim/play.ts'

const hours = 20 * 3_600_000

/** Worlds that showed faults that hardly any other world showed. */
const seeds = [21, 24, 29, 44, 111, 125, 141, 161, 519, 1140, 3137, 30_850]

let file: string

beforeAll(async () => {
  file = await build()
})

afterAll(() => rmSync(file, { force: true }))

describe('whatever goes wrong', () => {
  test('all promises hold, for 20 simulated hours', { timeout: 120_000 }, async () => {
    const outcome = await play(file, { seed: 2, ms: hours })
    expect(outcome.failed?.failure).toBeUndefined()
    expect(outcome.ms).toBeGreaterThanOrEqual(hours)
    expect(outcome.tally.told['fenced write']).toBeGreaterThan(10_000)
  })

  test.each(seeds)('all promises hold in world %d, which has shown rare faults', { timeout: 60_000 }, async (seed) => {
    const { failed, worlds } = await play(file, { seed, ms: 1 })
    expect(failed?.failure).toBeUndefined()
    expect(worlds).toBe(1)
  })
})
