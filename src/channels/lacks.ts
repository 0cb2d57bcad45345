/** What the contexts that share a store may have of each other. */
type Aid = 'hints' | 'proofs of death'

/** What a store cannot offer where it is: each thing is said once. */
export interface Lacks {
  say(aid: Aid, why: string): void
  /** Tells what goes wrong for now, to those who listen now. */
  tell(why: string): void
  /** Calls the listener for each, at once or when it turns out. */
  onDegraded(listener: (why: string) => void): void
}

export function makeLacks(): Lacks {
  const said = new Map<Aid, string>()
  const listeners: ((why: string) => void)[] = []
  const tell = (text: string): void => {
    for (const listener of listeners) listener(text)
  }
  return {
    say(aid, why) {
      if (said.has(aid)) return
      const text = `no ${aid}${why}`
      said.set(aid, text)
      tell(text)
    },
    tell,
    onDegraded(listener) {
      listeners.push(listener)
      for (const text of said.values()) listener(text)
    },
  }
}
