import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build, play } from '../../sim/play.ts'

const hour = 3_600_000

let file: string

beforeAll(async () => {
  file = await build()
})

afterAll(() => rmSync(file, { force: true }))

describe('whatever goes wrong', () => {
  test('all promises hold, for two simulated hours', { timeout: 60_000 }, async () => {
    const outcome = await play(file, { seed: 1, ms: 2 * hour })
    expect(outcome.failed?.failure).toBeUndefined()
    expect(outcome.ms).toBeGreaterThanOrEqual(2 * hour)
    expect(outcome.tally.told['fenced write']).toBeGreaterThan(1_000)
  })

  test('a seed always gives the same history, to the last event', { timeout: 60_000 }, async () => {
    const [one, other] = [await play(file, { seed: 7, history: true }), await play(file, { seed: 7, history: true })]
    expect(one.history.length).toBeGreaterThan(1_000)
    expect(other.history).toEqual(one.history)
  })
})
