import type { LockError } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import type { Home } from './home.ts'
import { isSlow, longest } from './patience.ts'

/** The shortest pause between two looks, in ms, for each place in the queue. */
export const firstPause = 5
/** With this many places in front or fewer, the lock may come at any moment. */
const near = 2

/** The waiters for one key, as far as the pace of their looks depends on them. */
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

/**
 * When waiters look at a record: at once when they are poked, otherwise after pauses that grow while nothing changes. Waiters further back look again
 * when half of those in front have probably been served, so that all waiters together look a few times per grant, however many wait.
 */
export class Pace {
  /** The pause before the present look, in ms. */
  paused = 0
  readonly #session: Home
  readonly #waiting: Waiting
  #doublings = 0
  /** How many places were in front of them when the lock last changed hands, and when that was seen. */
  #places = 0
  #movedAt = 0
  /** How long each place took then, in ms. */
  #perPlace = 0
  #looking = false
  #lookAgain = false
  #asleep = false
  #failingSince: number | undefined
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
    this.#places = this.#perPlace = this.#doublings = 0
    this.#failingSince = undefined
  }

  /** The lock changed hands: begins with short pauses again. */
  restart(): void {
    this.#doublings = 0
    const now = this.#session.clock.monotonic()
    const places = this.#waiting.ahead()
    if (places < this.#places) this.#perPlace = (now - this.#movedAt) / (this.#places - places)
    this.#places = places
    this.#movedAt = now
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
        this.#failingSince = undefined
      } catch (error) {
        if (!this.bears(error as LockError, begun)) this.#waiting.giveUp(error as LockError)
      }
    } while (this.#lookAgain)
    this.#looking = false
    this.pause()
  }

  /**
   * Whether waits go on although the store failed: until it has failed for a whole lease, unless its failure is final. A store that is only too slow
   * to answer, such as a lock server on a busy machine, gets at least two minutes.
   * @param begun when the call that failed began, in ms
   */
  bears(error: LockError, begun?: number): boolean {
    const { clock, settings } = this.#session
    const now = clock.monotonic()
    const lease = leaseFor(settings.duration)
    this.#failingSince ??= begun ?? now
    return error.code === 'store' && now - this.#failingSince < (isSlow(error) ? Math.max(lease, longest) : lease)
  }

  /** Pauses before the next look, if any request waits. */
  pause(): void {
    const waiting = this.#waiting
    if (!waiting.any() || this.#callOff || this.#looking || this.#asleep) return
    const { clock, settings } = this.#session
    const places = waiting.ahead()
    const shortest = firstPause * (places + 1) + (this.#perPlace * Math.max(0, places - near)) / 2
    const pause = shortest * 2 ** this.#doublings++ * (0.75 + clock.random() / 2)
    this.paused = Math.min(pause, settings.maxBackoff, waiting.longest())
    this.#callOff = clock.after(this.paused, () => this.poke())
  }

  /** Stops looking, until it is poked. */
  stop(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }
}
