import { beforeAll, describe, test } from 'vitest'
import { chooseEngines } from './chosen.ts'
import type { EngineName } from './engine.ts'
import { type Served, startEngine } from './index.ts'

/**
 * Describes the same facts of each engine, one engine after another. One that is left out is reported as skipped, with the reason.
 * @param facts defines the tests; `engine()` is the running engine, once they run
 */
export function describeEachEngine(facts: (engine: () => Served, name: EngineName) => void): void {
  const { chosen, leftOut, reason } = chooseEngines()
  for (const name of chosen) {
    describe(`in ${name}`, () => {
      let engine: Served
      beforeAll(async () => {
        engine = await startEngine(name)
        return () => engine.close()
      })
      facts(() => engine, name)
    })
  }
  for (const name of leftOut) test.skip(`${name} is left out: ${reason}`)
}
