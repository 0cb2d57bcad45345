/** What is made once for each name, for as long as anybody has it or it is in use. */
export class ByName<T extends object> {
  readonly #refs = new Map<string, WeakRef<T>>()
  readonly #used = new Set<T>()
  readonly #gone = new FinalizationRegistry<string>((name) => {
    // Another may have been made since.
    if (!this.#refs.get(name)?.deref()) this.#refs.delete(name)
  })

  get(name: string, make: () => T): T {
    const known = this.#refs.get(name)?.deref()
    if (known) return known
    const made = make()
    this.#refs.set(name, new WeakRef(made))
    this.#gone.register(made, name)
    return made
  }

  /** Whether it is in use: it then stays, though its user may have dropped all that leads to it. */
  readonly use = (one: T, inUse: boolean): void => {
    if (inUse) this.#used.add(one)
    else this.#used.delete(one)
  }
}
