/**
 * How many guesses have to be right after a wrong one: two sessions that take turns, each with a request and a release, guess every second one right.
 */
const patience = 3

/** How many rows are remembered. */
const capacity = 1_000

/** The values of rows when they were last seen, by object store and key: a guess at their present values. */
export class Memory {
  readonly #rows = new Map<string, unknown>()
  /** Rows that another session has written lately: how many guesses have to be right before they are relied on again. */
  readonly #shared = new Map<string, number>()

  get(id: string): unknown {
    return this.#rows.get(id)
  }

  /** Whether a guess may be relied on: it is the remembered value of a row that no other session seems to write. */
  relies(id: string, guess: unknown): boolean {
    return guess !== undefined && guess === this.#rows.get(id) && !this.#shared.has(id)
  }

  /** Notes whether a guess was right. */
  learn(id: string, right: boolean): void {
    const left = right ? (this.#shared.get(id) ?? 1) - 1 : patience
    if (left) this.#shared.set(id, left)
    else this.#shared.delete(id)
  }

  remember(id: string, row: unknown): void {
    if (this.#rows.size >= capacity) {
      this.#rows.clear()
      this.#shared.clear()
    }
    this.#rows.set(id, row)
  }
}
