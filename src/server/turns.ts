/**
 * How many steps of one credential are started in one turn of the event loop, at most, and for how many ms: then connections and timers get theirs.
 * If several credentials were active lately, one step of each.
 */
const share = { alone: { steps: 64, ms: 5 }, together: { steps: 1, ms: 5 } }
/** How long a credential counts as active at least, in ms. */
const lately = 50

/** Has credentials take turns at the server's one thread: a flood only delays itself. */
export class Turns {
  /** The waiting steps of each credential, in the order of their turns. */
  readonly #lines = new Map<string, (() => void)[]>()
  /** The credentials that were active lately, and before that. */
  #present = new Set<string>()
  #before = new Set<string>()
  #watched = 0
  #coming = false

  /** Runs one step of a credential's work when its turn comes: together with others that came in the same turn of the event loop. */
  run<T>(who: string, step: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#wait(who, () => {
        try {
          resolve(step())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  /** Lets others go first, in the middle of work that takes long. */
  rest(who: string): Promise<void> {
    return new Promise((resolve) => this.#wait(who, resolve))
  }

  /** How many steps wait. */
  get waiting(): number {
    return [...this.#lines.values()].reduce((sum, line) => sum + line.length, 0)
  }

  #wait(who: string, take: () => void): void {
    this.#present.add(who)
    const line = this.#lines.get(who)
    if (line) line.push(take)
    else this.#lines.set(who, [take])
    this.#soon()
  }

  #soon(): void {
    if (this.#coming) return
    this.#coming = true
    setImmediate(() => {
      this.#coming = false
      this.#take()
    })
  }

  /** Runs one step of each, and again, as long as each has some of its share. */
  #take(): void {
    const began = performance.now()
    this.#look(began)
    const { steps, ms } = new Set([...this.#present, ...this.#before]).size > 1 ? share.together : share.alone
    for (let round = 0; round < steps && this.#lines.size && performance.now() - began <= ms; round++) {
      for (const [who, line] of [...this.#lines]) {
        if (performance.now() - began > ms) break
        const take = line.shift() as () => void
        // A credential that had its turn goes behind those that had not.
        this.#lines.delete(who)
        if (line.length) this.#lines.set(who, line)
        take()
      }
    }
    if (this.#lines.size) this.#soon()
  }

  #look(now: number): void {
    if (now - this.#watched < lately) return
    this.#watched = now
    this.#before = this.#present
    this.#present = new Set(this.#lines.keys())
  }
}
