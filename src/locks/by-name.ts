/** Objects that exist once for each name, as long as they are referenced or in use. */
export class ByName<T extends object> {
  readonly #refs = new Map<string, WeakRef<T>>()
  readonly #used = new Set<T>()
  readonly #gone = new FinalizationRegistry<string>((name) => {
    // Another object may have been made for this name since.
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

  /** Whether it is in use: it is then kept, even if its user has dropped all references to it. */
  readonly use = (one: T, inUse: boolean): void => {
    if (inUse) this.#used.add(one)
    else this.#used.delete(one)
  }
}
