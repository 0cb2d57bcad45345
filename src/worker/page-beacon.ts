import type { Remote } from 'comlink'
import type { Beacon, RaisedBeacon } from '../store.ts'
import type { PageApi } from './protocol.ts'

/** The beacon of a page's session: the page raises it, because the page's code believes that it holds the lock. */
export class PageBeacon implements Beacon {
  readonly #beacon: Beacon
  readonly #page: Remote<PageApi>
  readonly #died: () => void
  /** The beacons that are up, each with the function that reports that it went out. */
  readonly #raised = new Map<string, () => void>()

  /**
   * @param beacon the worker's own, which watches the page's
   * @param died is called when the page is proved dead, or has lowered a beacon by itself
   */
  constructor(beacon: Beacon, page: Remote<PageApi>, died: () => void) {
    this.#beacon = beacon
    this.#page = page
    this.#died = died
  }

  async raise(session: string): Promise<RaisedBeacon> {
    const address = await this.#page.raise(session, await this.#beacon.lockFor?.(session))
    if (address === undefined) throw new Error('the page has no beacon')
    // The page lives, so if its beacon looks out from here, this worker cannot see it: the two have different lock managers.
    if (await this.#beacon.isOut?.(address)) {
      this.#page.lower(session)
      throw new Error('this worker does not see the beacon of its page')
    }
    const watch = new AbortController()
    const lost = new Promise<void>((goOut) => this.#raised.set(session, goOut))
    this.#beacon.watch(address, watch.signal).then(
      () => this.#raised.delete(session) && this.#died(),
      // A watch that ends without a proof has no effect.
      () => {},
    )
    return {
      address,
      lost,
      lower: () => {
        watch.abort()
        // A page that is left lowers its beacon by itself, and may no longer receive messages.
        if (this.#raised.delete(session)) this.#page.lower(session)
      },
    }
  }

  watch(address: string, signal: AbortSignal): Promise<void> {
    return this.#beacon.watch(address, signal)
  }

  isOut(address: string): Promise<boolean> {
    return this.#beacon.isOut?.(address) ?? Promise.resolve(false)
  }

  lost(session: string): void {
    this.#raised.get(session)?.()
  }

  /** The page has lowered all its beacons. */
  forget(): void {
    this.#raised.clear()
  }
}
