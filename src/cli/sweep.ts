import { sweepRecords } from '../locks/sweep.ts'
import type { Common } from './args.ts'
import { print, printJson } from './output.ts'
import { answered, withStore } from './store.ts'

/** Times in ms. */
export interface SweepOptions extends Common {
  readonly olderThan: number
}

/** Drops the records of locks that have not been used for this long; their tokens are still never repeated. */
export async function sweep(prefix: string, { store: place, olderThan, json }: SweepOptions): Promise<void> {
  const keys = await withStore(place, async (store) => {
    const swept: string[] = []
    const drop = async (): Promise<void> => {
      for await (const dropped of sweepRecords(store, prefix, Date.now() - olderThan)) swept.push(...dropped)
    }
    await answered(place, drop())
    return swept.sort()
  })
  if (json) printJson({ swept: keys })
  else print(`${keys.length} ${keys.length === 1 ? 'record was' : 'records were'} dropped`)
}
