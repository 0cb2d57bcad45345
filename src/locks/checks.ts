import type { Checked, Outcome } from '../protocol/index.ts'
import type { HoldLease } from './lease.ts'

/**
 * The open transactions that have checked a lock: while there is one, nobody else can be granted it, so its lease does not expire. If it would have
 * expired, the lock is in doubt when the transaction ends, until the store has answered.
 */
export class Checks {
  open = 0
  /** How many of them are bodies that run at this moment: then the lock is held, whatever the clock says. */
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
    // One that ran beside others has let the event loop turn.
    return alone ? clock.turn?.(now) : undefined
  }

  async #settle(): Promise<void> {
    await this.#lease.settle()
    this.open--
    this.#lease.resume()
  }
}
