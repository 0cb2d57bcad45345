import type { LockError } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import { Outage } from './core/outage.ts'
import { Pace } from './core/pace.ts'
import type { Home } from './home.ts'

/** The waiters for one key, as far as their looks depend on them. */
interface Waiting {
  /** Whether any request waits. */
  any(): boolean
  look(): Promise<unknown>
  /** How many places are in front of them. */
  ahead(): number
  /** The longest pause that observing the sessions in front allows, in ms. */
  longest(): number
  /** Ends the waits: the store has failed for too long. */
  giveUp(error: LockError): void
}

/** Makes waiters look at a record: at once when they are poked, otherwise after pauses. */
export class LookTimer {
  /** The pause before the present look, in ms. */
  paused = 0
  readonly #session: Home
  readonly #waiting: Waiting
  readonly #pace = new Pace()
  readonly #outage = new Outage()
  #looking = false
  #lookAgain = false
  #asleep = false
  #callOff: (() => void) | undefined

  constructor(session: Home, waiting: Waiting) {
    this.#session = session
    this.#waiting = waiting
  }

  /** Whether the context sleeps: then there are no looks. */
  get asleep(): boolean {
    return this.#asleep
  }

  set asleep(asleep: boolean) {
    this.#asleep = asleep
    if (asleep) this.stop()
  }

  /** A wait begins: failures at the end of the last one do not count. */
  begin(): void {
    this.#pace.begin()
    this.#outage.end()
  }

  /** The lock changed hands: begins with short pauses again. */
  restart(): void {
    this.#pace.restart(this.#session.clock.monotonic(), this.#waiting.ahead())
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
      const begun = this.#session.clock.monotonic()
      try {
        await this.#waiting.look()
        this.#outage.end()
      } catch (error) {
        if (!this.bears(error as LockError, begun)) this.#waiting.giveUp(error as LockError)
      }
    } while (this.#lookAgain)
    this.#looking = false
    this.pause()
  }

  /** Whether waits go on although the store failed. @param begun when the call that failed began */
  bears(error: LockError, begun?: number): boolean {
    const { clock, settings } = this.#session
    return this.#outage.bears(error, leaseFor(settings.duration), clock.monotonic(), begun)
  }

  /** Pauses before the next look, if any request waits. */
  pause(): void {
    const waiting = this.#waiting
    if (!waiting.any() || this.#callOff || this.#looking || this.#asleep) return
    const { clock, settings } = this.#session
    this.paused = Math.min(this.#pace.next(waiting.ahead(), clock.random()), settings.maxBackoff, waiting.longest())
    this.#callOff = clock.after(this.paused, () => this.poke())
  }

  /** Stops looking, until it is poked. */
  stop(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }
}
