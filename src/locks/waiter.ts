import { type Request, type RequestLife, unsent } from './core/request.ts'
import type { Hold } from './hold.ts'
import type { Wish } from './wish.ts'

/** A request, with the caller that waits for it. */
export class Waiter implements Request {
  readonly wish: Wish
  number = 0
  /** The number under which it was sent last. */
  sentAs: number | undefined
  life: RequestLife = unsent
  impatient = false
  robbed: Request['robbed']
  since = Infinity
  readonly #resolve: (hold: Hold | null) => void
  readonly #reject: (error: unknown) => void
  readonly #over: (waiter: Waiter, granted: boolean) => void
  /** What to stop when the wait ends. */
  #stops: (() => void)[] | undefined

  /** @param over called when the wait ends, before its caller learns of that */
  constructor(wish: Wish, resolve: (hold: Hold | null) => void, reject: (error: unknown) => void, over: (waiter: Waiter, granted: boolean) => void) {
    this.wish = wish
    this.#resolve = resolve
    this.#reject = reject
    this.#over = over
  }

  /** Stops something when the wait ends. */
  while(stop: () => void): void {
    this.#stops ??= []
    this.#stops.push(stop)
  }

  /** Ends the wait, once: with the lock, or with `null` if that is not available. */
  give(hold: Hold | null): void {
    this.#end(hold !== null)
    this.#resolve(hold)
  }

  /** The same, with an error. */
  fail(error: unknown): void {
    this.#end(false)
    this.#reject(error)
  }

  #end(granted: boolean): void {
    if (this.#stops) for (const stop of this.#stops) stop()
    this.#over(this, granted)
  }
}
