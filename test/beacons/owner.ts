// A process with a beacon: `owner.ts <database> <session>`. It sends the beacon's address to its parent, and carries out the parent's orders.
import Database from 'better-sqlite3'
import { sidecarBeacon } from '../../src/beacons/sidecar.ts'

const [database = '', session = ''] = process.argv.slice(2)
const beacon = sidecarBeacon({
  database,
  open: (path) => new Database(path),
  // The session's row counts as present for as long as the process lives.
  isKnown: () => true,
  attend: () => undefined,
  degraded: (why) => why !== undefined && console.error(why),
})
const raised = await beacon.raise(session)
process.on('disconnect', () => process.exit())
process.on('message', (order: { lower?: true; watch?: string }) => {
  if (order.lower) raised.lower()
  if (order.watch !== undefined) beacon.watch(order.watch, new AbortController().signal).then(() => process.send?.('proved'))
})
process.send?.(raised.address)
