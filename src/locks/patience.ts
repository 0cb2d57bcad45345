import { storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Clock } from './clock.ts'
import { longest } from './core/outage.ts'

/** A timer that is late by more than this share of a lease shows that this context slept, and could not receive an answer meanwhile. */
const lateness = 1 / 4

/** Why an answer is no longer awaited; `undefined` if it still is. @param waits whether the caller waits for a lock */
export type Over = (waits: boolean) => Error | undefined

/** A call, or a batch of commands, whose answer is awaited. */
export interface Watched {
  readonly sent: number
  /** When the answer is overdue. */
  due: number
  /** Called when the answer is overdue, and again as long as a caller waits for it. @returns whether a caller still waits */
  readonly look: (over: Over) => boolean
}

/**
 * Makes sure that no caller waits for ever for a store that hangs. The rule:
 *
 * - A store that has not answered for a lease hangs: the session's locks have ended by then, whatever becomes of its commands.
 * - A store that is busy does not hang: it waits for another transaction, which may be a migration that takes minutes. It says so (`isBusy`), so that
 *   calls do not fail meanwhile. A waiter then goes on waiting, as it does for a holder; other calls wait for two minutes at most.
 *
 * `close()` alone ends with the lease in any case. One timer, which is seldom set, serves all calls: a timer for each call would cost more than the
 * rest of the call.
 */
export class Patience {
  readonly #clock: Clock
  readonly #store: Store
  readonly #lease: number
  readonly #watched = new Set<Watched>()
  #wakeAt = Infinity
  #callOff: (() => void) | undefined
  #ended = false

  /** @param lease in ms */
  constructor(clock: Clock, store: Store, lease: number) {
    this.#clock = clock
    this.#store = store
    this.#lease = lease
  }

  /** Calls `look` of what is watched when its answer is overdue. */
  watch(watched: Watched): void {
    watched.due = watched.sent + this.#lease
    this.#watched.add(watched)
    if (watched.due < this.#wakeAt) this.#wake(watched.due)
  }

  /** The answer has come. */
  forget(watched: Watched): void {
    this.#watched.delete(watched)
    if (this.#ended) this.#rest()
  }

  /** From now on, no timer is left once no answer is awaited. */
  end(): void {
    this.#ended = true
    this.#rest()
  }

  #rest(): void {
    if (this.#watched.size) return
    this.#callOff?.()
    this.#wakeAt = Infinity
  }

  /** Calls `ask`, and resolves with its answer. Rejects if it throws, or if the answer does not come. */
  #answer<T>(ask: () => Promise<T>, waits: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (over: Over): boolean => {
        const error = over(waits)
        if (error) reject(error)
        return !error
      }
      const watched = { sent: this.#clock.monotonic(), due: 0, look }
      this.watch(watched)
      const asked = async (): Promise<T> => await ask()
      asked()
        .then(resolve, reject)
        .finally(() => this.forget(watched))
    })
  }

  /** Reads from the store; rejects with `store` if it fails. @param waits whether the caller waits for a lock */
  async read<T>(from: (store: Store) => Promise<T>, waits: boolean): Promise<T> {
    const turn = this.#clock.turn?.(this.#clock.monotonic())
    if (turn) await turn
    try {
      return await this.#answer(() => from(this.#store), waits)
    } catch (error) {
      throw storeError(error, 'the store failed to read')
    }
  }

  #wake(at: number): void {
    this.#callOff?.()
    this.#wakeAt = at
    this.#callOff = this.#clock.after(at - this.#clock.monotonic(), () => this.#look(), true)
  }

  #look(): void {
    const now = this.#clock.monotonic()
    const slept = now > this.#wakeAt + this.#lease * lateness
    this.#wakeAt = Infinity
    for (const watched of [...this.#watched]) {
      const { sent, due, look } = watched
      if (slept || due <= now) watched.due = now + this.#lease
      if (!slept && due <= now && !look(this.#over(now - sent))) this.#watched.delete(watched)
    }
    for (const { due } of this.#watched) if (due < this.#wakeAt) this.#wake(due)
  }

  #over(age: number): Over {
    const busy = this.#store.isBusy?.() === true
    return (waits) => (busy && (waits || age < longest) ? undefined : new Error(`the store has not answered for ${Math.round(age)} ms`))
  }
}
