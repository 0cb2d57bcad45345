import fc from 'fast-check'
import { expect } from 'vitest'
import type { Command, Outcome } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { history, play } from '../protocol/histories.ts'
import { lease } from '../protocol/shelf.ts'

/** Two stores at one new place. */
interface Pair {
  readonly stores: readonly [Store, Store]
  /** Removes the place. */
  readonly remove?: (() => void | Promise<void>) | undefined
}

/**
 * Expects two stores at one place to answer any history as one map would, in whatever order they are asked.
 * @param check inspects the place after each answer
 */
export async function answerAsOneMap(open: (now: () => number) => Promise<Pair>, check?: (outcome: Outcome) => Promise<void>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(history, fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), async (actions, turns) => {
      let now = 1_000_000
      const { stores, remove } = await open(() => now)
      try {
        await stores[0].apply(['a0', 'b0', 'c0', 'd0'].map((session): Command => ({ type: 'beat', session, client: 'c', lease, opens: true })))
        const steps: { command: Command; outcome: Outcome; now: number }[] = []
        play(actions, ({ command, outcome, now }) => steps.push({ command, outcome, now }))
        for (const [index, step] of steps.entries()) {
          now = step.now
          const [outcome] = await stores[turns[index % turns.length] ? 0 : 1].apply([step.command])
          expect(plain(outcome)).toEqual(plain(step.outcome))
          await check?.(outcome as Outcome)
        }
      } finally {
        for (const store of stores) await store.close()
        await remove?.()
      }
    }),
    { numRuns: 25, endOnFailure: true },
  )
}

/** An outcome without the stale rows of a beat, since each store chooses which rows to return. */
const plain = (outcome: Outcome | undefined): unknown => JSON.parse(JSON.stringify({ ...outcome, stale: undefined }))
