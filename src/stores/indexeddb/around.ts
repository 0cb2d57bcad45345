import { webLocksBeacon } from '../../beacons/web-locks.ts'
import { type BroadcastingChannel, broadcastChannel } from '../../channels/broadcast.ts'
import type { Beacon } from '../../store.ts'

/** What stands beside a database, for the tabs and workers of its origin. */
export interface Around {
  readonly channel: BroadcastingChannel | undefined
  readonly beacon: Beacon | undefined
  /** What is missing and why, if anything is. */
  readonly lack: string | undefined
}

/** What the engine has to offer around a database of this name. */
export function lookAround(database: string): Around {
  const { BroadcastChannel, navigator, isSecureContext } = globalThis as Partial<typeof globalThis>
  const name = `storelock ${database}`
  const locks: LockManager | undefined = navigator?.locks
  const lacks: string[] = []
  if (!BroadcastChannel) lacks.push('no hints between tabs and workers, since there is no BroadcastChannel here')
  if (!locks)
    lacks.push(
      `no proofs of death, since ${isSecureContext === false ? 'navigator.locks needs a secure context (https)' : 'there is no navigator.locks here'}`,
    )
  return {
    channel: BroadcastChannel && broadcastChannel(name),
    beacon: locks && webLocksBeacon(name, locks),
    lack: lacks.join('; ') || undefined,
  }
}
