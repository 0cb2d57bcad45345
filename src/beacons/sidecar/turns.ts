/** How long steps may follow each other before the event loop turns, in ms. */
const stretch = 1

/** Runs steps in order, each at once unless earlier steps have used up this turn's time, so that a thousand steps do not block the event loop. */
export class Turns {
  readonly #waiting: (() => void)[] = []
  /** How long the steps of this turn have taken, in ms. */
  #spent = 0
  #next: NodeJS.Immediate | undefined

  take<T>(step: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        const began = performance.now()
        try {
          resolve(step())
        } catch (error) {
          reject(error)
        }
        this.#spent += performance.now() - began
      }
      if (this.#waiting.length || this.#spent >= stretch) this.#waiting.push(run)
      else run()
      this.#turn()
    })
  }

  /** Continues when the event loop has turned. Only waiting steps keep the process alive until then. */
  #turn(): void {
    this.#next ??= setImmediate(() => {
      this.#next = undefined
      this.#spent = 0
      while (this.#waiting.length && this.#spent < stretch) this.#waiting.shift()?.()
      if (this.#waiting.length) this.#turn()
    })
    if (this.#waiting.length) this.#next.ref()
    else this.#next.unref()
  }
}
