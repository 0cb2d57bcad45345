import { describe, expect, test } from 'vitest'
import { hunt } from '../../sim/hunt.ts'
import { mutants } from '../../sim/mutants.ts'

const hour = 3_600_000

// Each simulation runs in its own process.
describe.concurrent('the simulation notices', () => {
  test.each(mutants.filter(({ rare }) => !rare))('that $name', { timeout: 300_000 }, async (mutant) => {
    const { failed } = await hunt(mutant, { seed: 1, ms: 30 * hour })
    expect(failed?.failure).toBeDefined()
  })
})
