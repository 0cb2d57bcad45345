import { afterEach, beforeAll, beforeEach, describe, expect, inject, type TestContext } from 'vitest'
import type { EngineName, Need } from './engine.ts'
import { type Served, startEngine } from './index.ts'

/**
 * Describes facts of the engine that Vitest's project is about: each has a project of its own, with the same facts.
 * @param facts defines the tests; `engine()` is the running engine, once they run
 */
export function describeEachEngine(facts: (engine: () => Served, name: EngineName) => void): void {
  const name = inject('engine')
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

/** No page may throw what nobody catches. */
export function eachQuiet(engine: () => Served): void {
  afterEach(() => expect(engine().errors.splice(0)).toEqual([]))
}

/** Each fact begins with no tabs and nothing stored, and no page may throw what nobody catches. */
export function eachAfresh(engine: () => Served): void {
  // The last is the first to run.
  eachQuiet(engine)
  afterEach(() => engine().reset())
}

/** Leaves a fact out, with the reason, in an engine that cannot have what it needs. */
export function needs(need: Need, engine: Served, skip: TestContext['skip']): void {
  const reason = engine.cannot[need]
  skip(reason !== undefined, reason)
}
