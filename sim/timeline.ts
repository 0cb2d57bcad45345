interface Event {
  readonly at: number
  /** Events at the same time run in the order in which they were made. */
  readonly order: number
  run: (() => void) | undefined
}

/** The true time, which no process sees, and the events that happen in it, one after another. */
export class Timeline {
  /** In ms. */
  now = 0
  /** A binary heap: no event comes before its parent. */
  readonly #events: Event[] = []
  #made = 0

  /** @returns a function that cancels the event */
  after(ms: number, run: () => void): () => void {
    const event: Event = { at: this.now + ms, order: this.#made++, run }
    this.#push(event)
    return () => {
      event.run = undefined
    }
  }

  /**
   * Lets time pass, event by event. After each event all promises settle, and then it calls `check`.
   * @param check returns whether to go on
   */
  pass(ms: number, check: () => boolean): Promise<void> {
    const end = this.now + ms
    return new Promise((resolve) => {
      const turn = (): void => {
        const going = check()
        const event = going ? this.#next(end) : undefined
        if (event) {
          this.now = event.at
          // Scheduled before the event runs, so that the world goes on even if a process throws.
          setImmediate(turn)
          event.run?.()
        } else {
          if (going) this.now = end
          resolve()
        }
      }
      setImmediate(turn)
    })
  }

  #next(end: number): Event | undefined {
    for (let first = this.#events[0]; first && first.at <= end; first = this.#events[0]) {
      this.#pop()
      if (first.run) return first
    }
    return undefined
  }

  #push(event: Event): void {
    const events = this.#events
    let index = events.length
    while (index) {
      const parent = (index - 1) >> 1
      const above = events[parent] as Event
      if (!isBefore(event, above)) break
      events[index] = above
      index = parent
    }
    events[index] = event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop() as Event
    const { length } = events
    if (!length) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(events[child + 1] as Event, events[child] as Event)) child++
      if (!isBefore(events[child] as Event, last)) break
      events[index] = events[child] as Event
      index = child
    }
    events[index] = last
  }
}

const isBefore = (one: Event, other: Event): boolean => one.at < other.at || (one.at === other.at && one.order < other.order)
