import type { Home } from './home.ts'
import type { Lease } from './lease.ts'

/** How many tokens a grant reserves for using its lease again, at least and at most. After the last one, the store is asked. */
const [fewest, most] = [64, 10_000]

/**
 * How many tokens the next grant should reserve. Reserved tokens that are not used are gone: if every grant of a lock that often changes hands
 * reserved many, its tokens would run ahead of the clock.
 * @param uses how many times the lease of the last grant was used again
 */
export const reserveFor = (uses: number): number => Math.min(Math.max(2 * uses, fewest), most)

/** Keeps a lease for a while after its last use: taking the lock again meanwhile needs no store. */
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
    // One timer serves many uses: it is set again if the lease was used meanwhile.
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

  /** Releases the lease, if it lingers now. A failed release is sent again, so its error is ignored here. */
  async drop(): Promise<void> {
    const lease = this.#lease
    this.#lease = undefined
    this.#callOff?.()
    this.#callOff = undefined
    await lease?.release().catch(() => {})
  }

  /** Whether the lease with this token lingers now. */
  has(token: number): boolean {
    return this.#lease?.token === token
  }

  /** A lease has ended. */
  forget(lease: Lease): void {
    if (lease === this.#lease) this.#lease = undefined
  }
}
