import { afterEach, beforeAll, beforeEach, describe, expect, inject, type TestContext } from 'vitest'
import type { EngineName, Need } from './engine.ts'
import { type Served, startEngine } from './index.ts'

/**
 * Defines tests for the engine of the current Vitest project. Each engine has its own project, with the same tests.
 * @param facts defines the tests; while they run, `engine()` is the running engine
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

/** Fails a test if a page threw an error that was not caught. */
export function eachQuiet(engine: () => Served): void {
  afterEach(() => expect(engine().errors.splice(0)).toEqual([]))
}

/** Starts each test without tabs and with empty storage, and fails it if a page threw an error that was not caught. */
export function eachAfresh(engine: () => Served): void {
  // Vitest runs these hooks in reverse order.
  eachQuiet(engine)
  afterEach(() => engine().reset())
}

/** Skips a test, with the reason, in an engine that lacks what the test needs. */
export function needs(need: Need, engine: Served, skip: TestContext['skip']): void {
  const reason = engine.cannot[need]
  skip(reason !== undefined, reason)
}
