import { raiseLock } from '../beacons/web-locks.ts'
import type { Beacon, RaisedBeacon } from '../store.ts'

export interface RaisedOptions {
  /** Raised instead of one of the browser's Web Locks. */
  readonly beacon: Beacon | undefined
  /** The browser refuses a lock for a beacon. */
  refused(error: Error): void
  /** The beacon of a session went out although this page is alive. */
  lost(session: string): void
}

/** The beacons that this page has raised for its sessions in the worker. */
export class Raised {
  readonly #options: RaisedOptions
  readonly #raised = new Map<string, RaisedBeacon>()
  /** How often all beacons were lowered: one that was asked for before and comes up afterwards is no longer wanted. */
  #lowered = 0

  constructor(options: RaisedOptions) {
    this.#options = options
  }

  /**
   * @returns the address, or `undefined` if the beacon could not be raised
   * @param lock the name of a native Web Lock, if the worker watches those
   */
  async raise(session: string, lock: string | undefined): Promise<string | undefined> {
    const { beacon } = this.#options
    const lowered = this.#lowered
    const raised = await (beacon ? beacon.raise(session) : this.#native(lock))?.catch(() => undefined)
    if (!raised) return undefined
    this.#raised.set(session, raised)
    if (lowered !== this.#lowered) this.lower(session)
    raised.lost.then(() => this.#raised.delete(session) && this.#options.lost(session))
    return raised.address
  }

  lower(session: string): void {
    this.#raised.get(session)?.lower()
    this.#raised.delete(session)
  }

  lowerAll(): void {
    this.#lowered++
    for (const session of this.#raised.keys()) this.lower(session)
  }

  #native(name: string | undefined): Promise<RaisedBeacon> | undefined {
    const { navigator } = globalThis as Partial<typeof globalThis>
    return name !== undefined && navigator?.locks ? raiseLock(navigator.locks, name, (error) => this.#options.refused(error as Error)) : undefined
  }
}
