/** What the contexts that share a store may have of each other. */
type Aid = 'hints' | 'proofs of death'

/** What a store cannot offer where it is: each thing is said once. */
export interface Lacks {
  say(aid: Aid, why: string): void
  /** Calls the listener for each, at once or when it turns out. */
  onDegraded(listener: (why: string) => void): void
}

export function makeLacks(): Lacks {
  const said = new Map<Aid, string>()
  const listeners: ((why: string) => void)[] = []
  return {
    say(aid, why) {
      if (said.has(aid)) return
      const text = `no ${aid}${why}`
      said.set(aid, text)
      for (const listener of listeners) listener(text)
    },
    onDegraded(listener) {
      listeners.push(listener)
      for (const text of said.values()) listener(text)
    },
  }
}
