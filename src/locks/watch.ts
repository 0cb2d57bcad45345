import type { Beacon } from '../store.ts'

/** Made once: making an error takes longer than everything else that a waiter does when it gets the lock. */
const unwatched = new Error('it is no longer watched')

/** Watches other sessions' beacons, as long as they are wanted. */
export class Watch {
  readonly #beacon: Beacon | undefined
  readonly #died: (session: string) => void
  readonly #watched = new Map<string, AbortController>()

  constructor(beacon: Beacon | undefined, died: (session: string) => void) {
    this.#beacon = beacon
    this.#died = died
  }

  /** Watches exactly these sessions, each at its address; one without an address cannot be proved dead. */
  keep(sessions: ReadonlyMap<string, string | undefined>): void {
    if (!this.#beacon) return
    for (const [session, stop] of this.#watched) {
      if (sessions.get(session) !== undefined) continue
      this.#watched.delete(session)
      stop.abort(unwatched)
    }
    for (const [session, address] of sessions) {
      if (address === undefined || this.#watched.has(session)) continue
      const stop = new AbortController()
      this.#watched.set(session, stop)
      this.#beacon.watch(address, stop.signal).then(
        () => {
          if (this.#watched.get(session) !== stop) return
          this.#watched.delete(session)
          this.#died(session)
        },
        // Without a proof nothing happens: the lease decides.
        () => {},
      )
    }
  }
}
