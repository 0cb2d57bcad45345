import type { Home } from './home.ts'
import type { Lease } from './lease.ts'

/** A grant reserves tokens for the times that its lease is used again; after the last, the store is asked. So many at least and at most. */
const [fewest, most] = [64, 10_000]

/**
 * How many tokens the next grant is to reserve, where the last one was used so many times. Reserved ones that nobody uses are gone: if every
 * grant of a lock that often changes hands took many, its tokens would run ahead of the clock.
 */
export const reserveFor = (uses: number): number => Math.min(Math.max(2 * uses, fewest), most)

/** Keeps a lease for a while after its last use: who takes the lock again meanwhile touches no store. */
export class Linger {
  readonly #session: Home
  #lease: Lease | undefined
  #since = 0
  #callOff: (() => void) | undefined

  constructor(session: Home) {
    this.#session = session
  }

  keep(lease: Lease, now: number): void {
    const { clock, settings } = this.#session
    lease.linger()
    this.#lease = lease
    this.#since = now
    // One timer for many uses: it goes on where the lease was used meanwhile.
    this.#callOff ??= clock.after(settings.linger, () => this.#end(), true)
  }

  #end(): void {
    const { clock, settings } = this.#session
    this.#callOff = undefined
    const left = this.#since + settings.linger - clock.monotonic()
    if (left <= 0) this.drop()
    else if (this.#lease) this.#callOff = clock.after(left, () => this.#end(), true)
  }

  /** The lease, to be used again, if it still stands. */
  take(now: number): Lease | undefined {
    const lease = this.#lease
    if (!lease?.stands(now)) {
      this.drop()
      return undefined
    }
    this.#lease = undefined
    return lease
  }

  /** Gives the lease back, if nobody uses it now. A failure is tried again elsewhere. */
  async drop(): Promise<void> {
    const lease = this.#lease
    this.#lease = undefined
    this.#callOff?.()
    this.#callOff = undefined
    await lease?.release().catch(() => {})
  }

  /** Whether this is the lease that nobody uses now. */
  has(token: number): boolean {
    return this.#lease?.token === token
  }

  /** A lease has ended. */
  forget(lease: Lease): void {
    if (lease === this.#lease) this.#lease = undefined
  }
}
