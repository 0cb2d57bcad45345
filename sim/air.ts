import type { Message } from '../src/store.ts'
import type { Process, World } from './parts.ts'

interface Listener {
  readonly process: Process
  readonly hear: (message: Message) => void
}

/** The medium that carries the hints of channels. Many hints are lost, doubled or late, and hints from different senders overtake each other. */
export class Air {
  readonly #world: World
  readonly #topics = new Map<string, Set<Listener>>()

  constructor(world: World) {
    this.#world = world
  }

  /** Delivers a hint to a process: once, twice or never, soon or late. */
  carry(to: Process, deliver: () => void): void {
    const { chance, timeline } = this.#world
    const fault = chance.maybe(this.#world.noise) ? chance.one(['dropped', 'doubled', 'late']) : undefined
    if (fault) this.#world.count('faults', `hint: ${fault}`)
    if (fault === 'dropped') return
    const arrive = (within: number): unknown => timeline.after(chance.next() * within, () => to.enter(deliver))
    if (fault !== 'late') arrive(3)
    if (fault) arrive(5_000)
  }

  subscribe(topic: string, process: Process, hear: (message: Message) => void): () => void {
    const listener = { process, hear }
    const listeners = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (!listeners.size) this.#topics.delete(topic)
    }
  }

  publish(topic: string, message: Message): void {
    for (const listener of this.#topics.get(topic) ?? [])
      this.carry(listener.process, () => this.#topics.get(topic)?.has(listener) && listener.hear(message))
  }
}
