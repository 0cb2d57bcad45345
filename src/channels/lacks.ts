/** What the contexts that share a store may have of each other. */
export type Aid = 'hints' | 'proofs of death'

/** Hears what is lacking, in words, and `undefined` once nothing is any more. */
type Listener = (why: string | undefined) => void

/** What a store cannot offer where it is: each thing is said once, until it was there again. */
export interface Lacks {
  say(aid: Aid, why: string): void
  /** It is to be had again. */
  regain(aid: Aid): void
  /** Tells what goes wrong for now, to those who listen now. */
  tell(why: string): void
  /** Calls the listener for each, at once or when it turns out. @returns how to hear no more */
  onDegraded(listener: Listener): () => void
}

export function makeLacks(): Lacks {
  const said = new Map<Aid, string>()
  const listeners = new Set<Listener>()
  const tell = (text: string | undefined): void => {
    for (const listener of [...listeners]) listener(text)
  }
  return {
    say(aid, why) {
      if (said.has(aid)) return
      const text = `no ${aid}${why}`
      said.set(aid, text)
      tell(text)
    },
    regain(aid) {
      if (said.delete(aid) && !said.size) tell(undefined)
    },
    tell,
    onDegraded(listener) {
      const own: Listener = (why) => listener(why)
      listeners.add(own)
      for (const text of said.values()) listener(text)
      return () => void listeners.delete(own)
    },
  }
}
