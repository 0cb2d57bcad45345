import { type LockError, storeError } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import type { Clock } from './clock.ts'

/** How long those who do not wait for a lock wait for a store that says that it is busy, and those who do for one that is too slow to answer, in ms. */
export const longest = 120_000

/** Whether a store failed only in that it did not answer in time. */
export const isSlow = ({ cause }: LockError): boolean => (cause as Error | undefined)?.name === 'TimeoutError'
/** A timer that comes later than this share of a lease shows that this context slept, and heard no answer meanwhile. */
const lateness = 1 / 4

/** Why an answer is not waited for any more; `undefined` if it still is. @param waits whether it is waited for by one who waits for a lock */
export type Over = (waits: boolean) => Error | undefined

/** What an answer is waited for to. */
export interface Watched {
  readonly sent: number
  /** When the answer is overdue. */
  due: number
  /** Called when it is, and again as long as anyone waits for it. @returns whether anyone still does */
  readonly look: (over: Over) => boolean
}

/**
 * Sees to it that nobody waits for ever for a store that hangs. The rule:
 *
 * - A store that has not answered for a lease hangs: what a session has is over by then, whatever becomes of what it said.
 * - A store that is busy does not hang: it waits for somebody's transaction, which may be a migration that takes minutes. Not to fail all others
 *   meanwhile, it says so (`isBusy`). Who waits for a lock waits for that as for a holder; who wants to know something, gives an order
 *   or lets go, for two minutes at most.
 *
 * `close()` alone ends with the lease in any case. One timer serves all, set seldom: one for each call would cost more than the rest of it.
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

  /** Sees to it that what is watched looks when its answer is overdue. */
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

  /** From now on no timer is left once nobody waits. */
  end(): void {
    this.#ended = true
    this.#rest()
  }

  #rest(): void {
    if (this.#watched.size) return
    this.#callOff?.()
    this.#wakeAt = Infinity
  }

  /** The answer to what is asked now, also as a rejected promise if that throws. Rejects if it does not come. */
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

  /** Reads from the store; rejects with `store` if it fails. @param waits whether for a waiter */
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
