import { afterEach, beforeAll, beforeEach, describe, expect, type TestContext, test } from 'vitest'
import { chooseEngines } from './chosen.ts'
import type { EngineName, Need } from './engine.ts'
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
      beforeEach(({ task }) => {
        task.meta.engine = name
      })
      facts(() => engine, name)
    })
  }
  for (const name of leftOut) test.skip(`${name} is left out: ${reason}`)
}

/** Each fact begins with no tabs and nothing stored, and no page may throw what nobody catches. */
export function eachAfresh(engine: () => Served): void {
  afterEach(async () => {
    await engine().reset()
    expect(engine().errors.splice(0)).toEqual([])
  })
}

/** Leaves a fact out, with the reason, in an engine that cannot have what it needs. */
export function needs(need: Need, engine: Served, skip: TestContext['skip']): void {
  const reason = engine.cannot[need]
  skip(reason !== undefined, reason)
}
