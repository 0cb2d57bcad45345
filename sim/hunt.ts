import { rmSync } from 'node:fs'
import type { Mutant } from './mutants.ts'
import { build, type Outcome, play } from './play.ts'

/**
 * Runs worlds with a mutant until a promise breaks or the budget of simulated ms is used up.
 * @throws Error if that world breaks a promise without the mutant too: then the mutant was not caught, and the library is wrong
 */
export async function hunt(mutant: Mutant, budget: { readonly seed: number; readonly ms: number }, signal?: AbortSignal): Promise<Outcome> {
  const outcome = await playOnce(mutant, budget, signal)
  if (!outcome.failed) return outcome
  const { seed } = outcome.failed
  const { failed } = await playOnce(undefined, { seed, ms: 1 }, signal)
  if (failed) throw new Error(`seed ${seed} breaks a promise without "${mutant.name}" too: ${failed.failure}`)
  return outcome
}

async function playOnce(mutant: Mutant | undefined, budget: { readonly seed: number; readonly ms: number }, signal?: AbortSignal): Promise<Outcome> {
  const file = await build(mutant)
  try {
    return await play(file, budget, signal)
  } finally {
    rmSync(file, { force: true })
  }
}
