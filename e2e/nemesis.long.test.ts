import { expect, test } from 'vitest'
import { faultsOf, runBoth } from '../nemesis/run.ts'
import { stores } from '../nemesis/stores.ts'
import { whyNoNetwork } from '../test/servers/network.ts'

// Short runs of `npm run nemesis`. The faults differ from run to run; a failure prints their seed.
const time = 12_000

const why = whyNoNetwork()
if (why) console.warn(`etcd-cluster is left out: ${why}`)
const possible = Object.entries(stores).filter(([name]) => !why || name !== 'etcd-cluster')

test.for(possible)('%s: under faults, fenced writes lose no update, and unfenced ones do', { timeout: 360_000 }, async ([_, open], { signal }) => {
  const seed = Math.floor(Math.random() * 1_000_000)
  const told = [`seed ${seed}`]
  const { control, fenced } = await runBoth({ open, time, every: 1_000, seed, log: (line) => told.push(line), signal })
  expect(faultsOf(control, fenced), told.join('\n')).toEqual([])
})
