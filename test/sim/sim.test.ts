import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../../bench/bundle.ts'
import { hunt } from '../../sim/hunt.ts'
import { mutants, mutation } from '../../sim/mutants.ts'
import { build, play } from '../../sim/play.ts'

const hour = 3_600_000

/** Worlds in which promises have broken before. */
const seeds = [3, 48, 191, 192, 588, 1047, 10_020, 10_417, 20_053, 20_621]

let file: string

beforeAll(async () => {
  file = await build()
})

afterAll(() => rmSync(file, { force: true }))

describe('whatever goes wrong', () => {
  test('all promises hold, for 20 simulated hours', { timeout: 120_000 }, async () => {
    const outcome = await play(file, { seed: 1, ms: 20 * hour })
    expect(outcome.failed?.failure).toBeUndefined()
    expect(outcome.ms).toBeGreaterThanOrEqual(20 * hour)
    expect(outcome.tally.told['fenced write']).toBeGreaterThan(10_000)
  })

  test.each(seeds)('they hold in world %d, which has been hard before', { timeout: 60_000 }, async (seed) => {
    const { failed, worlds } = await play(file, { seed, ms: 1 })
    expect(failed?.failure).toBeUndefined()
    expect(worlds).toBe(1)
  })

  test('one seed makes one history, to the last event', { timeout: 60_000 }, async () => {
    const [one, other] = [await play(file, { seed: 7, history: true }), await play(file, { seed: 7, history: true })]
    expect(one.history.length).toBeGreaterThan(1_000)
    expect(other.history).toEqual(one.history)
  })
})

describe('the simulation notices', () => {
  test.each(mutants.filter(({ rare }) => !rare))('that $name', { timeout: 120_000 }, async (mutant) => {
    const { failed } = await hunt(mutant, { seed: 1, ms: 20 * hour })
    expect(failed?.failure).toBeDefined()
  })

  test('that a mutant does not fit the sources any more', async () => {
    const stale = { name: 'stale', patches: [['locks/hold.ts', 'a text that is not there', '']] } as const
    await expect(hunt(stale, { seed: 1, ms: 1 })).rejects.toThrow('wants exactly one')
    expect(mutation(stale).name).toBe('mutation')
  })
})

test.each(mutants)('a mutant changes what stands just once in the sources: $name', ({ patches }) => {
  for (const [file, text] of patches) {
    const source = readFileSync(join(root, 'src', file), 'utf8')
    expect(source.split(text)).toHaveLength(2)
  }
})
