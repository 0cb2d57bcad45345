import { expect, test } from 'vitest'
import { faultsOf, runBoth } from '../nemesis/run.ts'
import { stores } from '../nemesis/stores.ts'

// Short runs of what `npm run nemesis` does for as long as one likes. The faults differ from run to run; a failure tells their seed.
const time = 12_000

test.for(Object.entries(stores))(
  '%s: under faults, fenced writes lose no update, and unfenced ones do',
  { timeout: 180_000 },
  async ([_, open], { signal }) => {
    const seed = Math.floor(Math.random() * 1_000_000)
    const told = [`seed ${seed}`]
    const { control, fenced } = await runBoth({ open, time, seed, log: (line) => told.push(line), signal })
    expect(faultsOf(control, fenced), told.join('\n')).toEqual([])
  },
)
