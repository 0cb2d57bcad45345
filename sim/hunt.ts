import { rmSync } from 'node:fs'
import type { Mutant } from './mutants.ts'
import { build, type Outcome, play } from './play.ts'

/** Plays worlds with a mutant until a promise breaks, or the budget of simulated ms is used up. */
export async function hunt(mutant: Mutant, budget: { readonly seed: number; readonly ms: number }, signal?: AbortSignal): Promise<Outcome> {
  const file = await build(mutant)
  try {
    return await play(file, budget, signal)
  } finally {
    rmSync(file, { force: true })
  }
}
