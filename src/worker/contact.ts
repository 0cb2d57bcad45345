import type { Clock } from '../locks/clock.ts'
import type { Reading, Term } from './protocol.ts'

export interface ContactOptions {
  readonly clock: Clock
  /** How often the page is asked to answer, in ms. */
  readonly every: number
  /** How long the page may take to answer, in ms. */
  readonly maxSilence: number
  /** Whether there is a reason to ask. */
  isWanted(): boolean
  /** Sends the page the current state, which the page answers with a reading of its clock. */
  ask(): Promise<Reading>
}

/** A worker's contact with a page: checks that the page answers, and tracks the page's clock. */
export class Contact {
  readonly #options: ContactOptions
  /** The most by which this worker's clock is ahead of the page's, in ms, according to the page's last answer. */
  #ahead = 0
  #drift = 0
  /** When the unanswered question was sent. */
  #askedAt: number | undefined
  /** The state has changed since that question. */
  #moreToTell = false
  #nextAsk: (() => void) | undefined
  #tellingSoon: (() => void) | undefined

  constructor(options: ContactOptions) {
    this.#options = options
  }

  /** For how long the page has owed an answer, in ms, if that is longer than `maxSilence`. */
  get silence(): number | undefined {
    const { clock, maxSilence } = this.#options
    const silence = this.#askedAt === undefined ? 0 : clock.monotonic() - this.#askedAt
    return silence > maxSilence ? silence : undefined
  }

  /** By how much the page's wall clock was ahead of its monotonic one when it last answered, in ms. */
  get drift(): number {
    return this.#drift
  }

  /** The page read its clock before its answer arrived here, so everything from now on is later than this reading on the page's clock. */
  heard({ now, drift }: Reading): void {
    const { clock, every } = this.#options
    this.#ahead = clock.monotonic() - now
    // After a sleep the page doubts everything that it was told before.
    if (Math.abs(drift - this.#drift) > every / 2) this.tellSoon()
    this.#drift = drift
  }

  /** Converts a moment of this worker's monotonic clock to the page's: exactly or a little too early, never too late. */
  onPage(moment: number): number {
    return moment - this.#ahead
  }

  term(deadline: number): Term {
    return { until: this.onPage(deadline), drift: this.#drift }
  }

  /** Keeps asking as long as there is a reason to ask. */
  keep(): void {
    const { clock, every, isWanted } = this.#options
    this.#nextAsk ??= clock.after(
      every,
      () => {
        this.#nextAsk = undefined
        if (!isWanted()) return
        this.#ask()
        this.keep()
      },
      true,
    )
  }

  /** Something was renewed: sends the page the new state once the change is complete. */
  tellSoon(): void {
    const tell = (): void => {
      this.#tellingSoon = undefined
      if (this.#options.isWanted()) this.#ask()
    }
    this.#tellingSoon ??= this.#options.clock.after(0, tell, true)
  }

  stop(): void {
    this.#nextAsk?.()
    this.#tellingSoon?.()
  }

  /** Asks one question at a time: a blocked page finds only one when it wakes, and gets the newer state after it has answered. */
  #ask(): void {
    this.#moreToTell = this.#askedAt !== undefined
    if (this.#moreToTell) return
    this.#askedAt = this.#options.clock.monotonic()
    this.#options.ask().then((reading) => {
      this.#askedAt = undefined
      this.heard(reading)
      if (this.#moreToTell) this.#ask()
    })
  }
}
