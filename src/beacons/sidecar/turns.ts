/** For how long steps follow each other before the event loop turns, in ms. */
const stretch = 2

/** Takes steps in order, each at once unless those before it have filled their stretch: a thousand of them hold up nobody. */
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

  /** Goes on when the event loop has turned. Only steps that wait keep the process alive until then. */
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
