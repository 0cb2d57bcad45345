import type { Clock } from '../locks/clock.ts'

export interface WatchdogOptions {
  readonly clock: Clock
  /** How long the other side may be silent, in ms. */
  readonly maxSilence: number
  /** Whether the other side owes an answer. */
  isOwed(): boolean
  /** Asks the other side for an answer. */
  ask(): void
  /** The other side did not answer. */
  silent(): void
}

/**
 * Notices that the other side has fallen silent while it owes an answer. That takes two timers in a row, with a question in between: messages to a
 * page that was blocked may still be in its queue.
 */
export class Watchdog {
  readonly #options: WatchdogOptions
  #heard = false
  #misses = 0
  #callOff: (() => void) | undefined

  constructor(options: WatchdogOptions) {
    this.#options = options
  }

  watch(): void {
    const { clock, maxSilence } = this.#options
    this.#callOff ??= clock.after(maxSilence / 2, () => this.#look(), true)
  }

  heard(): void {
    this.#heard = true
  }

  stop(): void {
    this.#callOff?.()
  }

  #look(): void {
    const { isOwed, ask, silent } = this.#options
    this.#callOff = undefined
    this.#misses = this.#heard || !isOwed() ? 0 : this.#misses + 1
    this.#heard = false
    if (!isOwed()) return
    if (this.#misses === 1) ask()
    if (this.#misses === 2) silent()
    else this.watch()
  }
}
