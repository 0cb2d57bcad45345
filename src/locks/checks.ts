import type { Checked, Outcome } from '../protocol/index.ts'
import type { HoldLease } from './lease.ts'

/**
 * The open transactions that have checked a lock. While one is open, no other session can be granted the lock, so its lease does not expire. If its
 * deadline has passed when a transaction ends, the lock is in doubt until the store has answered.
 */
export class Checks {
  open = 0
  /** How many of them are running their body with no other code beside it: the lock is then held, whatever the clock says. */
  alone = 0
  readonly #lease: HoldLease

  constructor(lease: HoldLease) {
    this.#lease = lease
  }

  begin(alone: boolean): Checked {
    this.open++
    if (alone) this.alone++
    let renewal: ReturnType<HoldLease['renewWithin']>
    let isOver = false
    return {
      renewal: () => {
        renewal = this.#lease.renewWithin()
        return renewal?.command
      },
      over: (renewed?: Outcome) => {
        if (isOver) return undefined
        isOver = true
        if (alone) this.alone--
        if (renewed) renewal?.committed(renewed)
        return this.#end(alone)
      },
    }
  }

  #end(alone: boolean): Promise<void> | undefined {
    const { clock, deadline } = this.#lease
    const now = clock.monotonic()
    if (this.#lease.hold && now >= deadline) return this.#settle()
    this.open--
    // A transaction that ran beside other code has let the event loop turn.
    return alone ? clock.turn?.(now) : undefined
  }

  async #settle(): Promise<void> {
    await this.#lease.settle()
    this.open--
    this.#lease.resume()
  }
}
