/** The topics of one event stream: which have subscribers here, which the server knows, and which of them are heard. */
export interface Topics {
  readonly any: boolean
  /** @returns whether the server has to be told now: without a stream there is no hurry, and the topics go with the next batch */
  add(topic: string): boolean
  remove(topic: string): void
  /** The stream is open, and the server knows this many topics. @returns whether it has to be told others */
  opened(known: number): boolean
  ended(): void
  /** All topics, if they changed since this was last called. */
  take(): readonly string[] | undefined
  /** The server knows these topics now. */
  told(topics: readonly string[]): void
  /** The server may not know what `take` returned. */
  untold(): void
  /** Another server is in use, which may know other topics. */
  moved(): void
}

/** @param begun called when a topic is heard from now on: messages may have been missed */
export function makeTopics(begun: (topic: string) => void): Topics {
  const counts = new Map<string, number>()
  const heard = new Set<string>()
  let known = new Set<string>()
  let open = false
  let changed = false

  const hear = (): void => {
    if (!open) return
    const fresh = [...known].filter((topic) => !heard.has(topic))
    for (const topic of fresh) heard.add(topic)
    for (const topic of fresh) begun(topic)
  }

  return {
    get any() {
      return counts.size > 0
    },
    add(topic) {
      const count = (counts.get(topic) ?? 0) + 1
      counts.set(topic, count)
      if (count === 1) changed = true
      return open && count === 1
    },
    remove(topic) {
      const count = (counts.get(topic) ?? 1) - 1
      if (count) counts.set(topic, count)
      else {
        counts.delete(topic)
        changed = true
      }
    },
    opened(count) {
      open = true
      // A restarted server knows none.
      if (count !== known.size) known = new Set()
      // It may know some already that its answer has yet to confirm.
      if (count !== counts.size) changed = true
      hear()
      return changed
    },
    ended() {
      open = false
      heard.clear()
    },
    take() {
      if (!changed) return undefined
      changed = false
      return [...counts.keys()]
    },
    told(topics) {
      known = new Set(topics)
      for (const topic of heard) if (!known.has(topic)) heard.delete(topic)
      hear()
    },
    untold() {
      changed = true
    },
    moved() {
      known = new Set()
      changed = true
    },
  }
}
