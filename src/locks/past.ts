/** What a session's leases of a key leave for the next one. */
export interface Past {
  /** The last token that was used, and the last that was reserved with it; 0 before the first. */
  readonly lastUsed: number
  readonly lastToken: number
  /** Whether another session had the lock since `clearDirty` of the re-entrant lock was last called. */
  readonly dirty: boolean
}

/** For how many keys it is kept. A forgotten key counts as new: anything cached under it may be stale. */
const capacity = 5_000

/** The pasts of keys that are not in use. They take far less memory than lines. */
export class Pasts {
  readonly #pasts = new Map<string, Past>()

  keep(key: string, past: Past): void {
    this.#pasts.set(key, past)
    if (this.#pasts.size > capacity) for (const oldest of this.#pasts.keys()) return void this.#pasts.delete(oldest)
  }

  take(key: string): Past | undefined {
    const past = this.#pasts.get(key)
    this.#pasts.delete(key)
    return past
  }
}
