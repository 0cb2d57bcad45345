/** What the contexts that share a store can use to work together. */
export type Aid = 'hints' | 'proofs of death'

/** Called with what is lacking, in words, and with `undefined` once nothing is lacking. */
type Listener = (why: string | undefined) => void

/** What a store cannot offer here: each lack is reported once, until the aid is available again. */
export interface Lacks {
  say(aid: Aid, why: string): void
  /** Called when an aid is available again. */
  regain(aid: Aid): void
  /** Reports a temporary problem, to the present listeners. */
  tell(why: string): void
  /** Calls the listener for each lack, known or new. @returns how to stop listening */
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
