import type { Outcome, Sweep } from '../protocol/index.ts'
import type { Common } from './args.ts'
import { Exit, exitCodes } from './exit.ts'
import { print, printJson } from './output.ts'
import { isIdle, stateOf } from './state.ts'
import { withStore } from './store.ts'

/** Times in ms. */
export interface SweepOptions extends Common {
  readonly olderThan: number
}

/** Commands in one transaction: it holds up everybody else. */
const batch = 200

/** Drops the records of locks that nobody has had for so long; their tokens are still not given out again. */
export async function sweep(prefix: string, { store: place, olderThan, json }: SweepOptions): Promise<void> {
  const keys = await withStore(place, async (store) => {
    const oldest = Date.now() - olderThan
    // Storelock 0.1 did not write when: such a record is old.
    const idle = (await store.list(prefix)).filter((view) => (view.changedAt ?? 0) < oldest && isIdle(stateOf(view)))
    const swept: string[] = []
    for (let at = 0; at < idle.length; at += batch) {
      const commands = idle.slice(at, at + batch).map(({ key }): Sweep => ({ type: 'sweep', key }))
      const outcomes = await store.apply(commands)
      // What somebody has taken meanwhile is left.
      swept.push(...commands.flatMap(({ key }, index) => (isDone(key, outcomes[index]) ? [key] : [])))
    }
    return swept
  })
  if (json) printJson({ swept: keys })
  else print(`${keys.length} ${keys.length === 1 ? 'record was' : 'records were'} dropped`)
}

function isDone(key: string, outcome: Outcome | undefined): boolean {
  if (outcome?.type === 'failed') throw new Exit(exitCodes.failed, `${key}: ${outcome.message}`)
  return outcome?.type === 'done'
}
