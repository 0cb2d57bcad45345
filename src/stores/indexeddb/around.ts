import { browserLocks, type WebLocksBeacon, webLocksBeacon } from '../../beacons/web-locks.ts'
import { type BroadcastingChannel, broadcastChannel } from '../../channels/broadcast.ts'
import { type Lacks, makeLacks } from '../../channels/lacks.ts'

/** The channel and the beacon that go with a database, for the tabs and workers of its origin. */
export interface Around {
  readonly channel: BroadcastingChannel | undefined
  readonly beacon: WebLocksBeacon | undefined
  onDegraded: Lacks['onDegraded']
  /** Reports that the database does not open for now, and why. */
  stalled(why: string): void
}

/** The channel and the beacon that the browser offers for a database of this name. */
export function lookAround(database: string): Around {
  const { BroadcastChannel, indexedDB, isSecureContext } = globalThis as Partial<typeof globalThis>
  const name = `storelock ${database}`
  const locks = browserLocks()
  const lacks = makeLacks()
  // A server that renders pages has none of these and does not need them, because its store is never opened.
  const isUsable = indexedDB !== undefined
  if (isUsable && !BroadcastChannel) lacks.say('hints', ' between tabs and workers, since there is no BroadcastChannel here')
  if (isUsable && !locks)
    lacks.say(
      'proofs of death',
      isSecureContext === false ? ', since navigator.locks needs a secure context (https)' : ', since there is no navigator.locks here',
    )
  const refused = (error: unknown): void => lacks.say('proofs of death', `, since navigator.locks refuses: ${(error as Error).message}`)
  const channel =
    BroadcastChannel &&
    broadcastChannel(name, (error) => (error ? lacks.say('hints', ` between tabs and workers: ${error.message}`) : lacks.regain('hints')))
  const beacon = locks && webLocksBeacon(name, locks, refused, { channel })
  beacon?.parted.then(() =>
    lacks.say('proofs of death', ' between tabs from before and after the storage was cleared, whose navigator.locks differ: reload the older ones'),
  )
  return {
    channel,
    beacon,
    onDegraded: lacks.onDegraded,
    stalled: lacks.tell,
  }
}
