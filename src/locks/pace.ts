import type { LockError } from '../protocol/index.ts'
import { leaseFor } from './lease.ts'
import type { Session } from './session.ts'

/** The shortest pause between two looks, in ms, for each place in line. */
export const firstPause = 5

/** Those who wait for one key, as far as the pace of their looks depends on them. */
interface Waiting {
  /** Whether anyone waits. */
  any(): boolean
  look(): Promise<unknown>
  /** The places in line before them. */
  ahead(): number
  /** The longest that a pause may be for what they observe, in ms. */
  longest(): number
  /** Ends the waits: the store has failed for too long. */
  giveUp(error: LockError): void
}

/** When those who wait look at a record: at once when they are poked, else after pauses, ever longer while nothing changes. */
export class Pace {
  /** The pause before the present look, in ms. */
  paused = 0
  readonly #session: Session
  readonly #waiting: Waiting
  #doublings = 0
  #looking = false
  #lookAgain = false
  #asleep = false
  #failingSince: number | undefined
  #callOff: (() => void) | undefined

  constructor(session: Session, waiting: Waiting) {
    this.#session = session
    this.#waiting = waiting
  }

  /** Whether the context sleeps: nobody looks then. */
  get asleep(): boolean {
    return this.#asleep
  }

  set asleep(asleep: boolean) {
    this.#asleep = asleep
    if (asleep) this.stop()
  }

  /** Begins with short pauses again. */
  restart(): void {
    this.#doublings = 0
  }

  /** Looks now: a hint came, or something here changed. */
  poke(): void {
    this.stop()
    if (this.#looking) this.#lookAgain = true
    else if (!this.#asleep) this.#look()
  }

  async #look(): Promise<void> {
    this.#looking = true
    do {
      this.#lookAgain = false
      try {
        await this.#waiting.look()
        this.#failingSince = undefined
      } catch (error) {
        this.#failed(error as LockError)
      }
    } while (this.#lookAgain)
    this.#looking = false
    this.pause()
  }

  /** A store that fails for as long as a lease, or for good, ends the waits. */
  #failed(error: LockError): void {
    const now = this.#session.clock.monotonic()
    this.#failingSince ??= now
    const passing = error.code === 'store' && now - this.#failingSince < leaseFor(this.#session.settings.duration)
    if (!passing) this.#waiting.giveUp(error)
  }

  /** Pauses before the next look, if anyone waits for it. */
  pause(): void {
    const waiting = this.#waiting
    if (!waiting.any() || this.#callOff || this.#looking || this.#asleep) return
    const { clock, settings } = this.#session
    const pause = firstPause * (waiting.ahead() + 1) * 2 ** this.#doublings++ * (0.75 + clock.random() / 2)
    this.paused = Math.min(pause, settings.maxBackoff, waiting.longest())
    this.#callOff = clock.after(this.paused, () => this.poke())
  }

  /** Makes no more looks unless it is poked. */
  stop(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }
}
