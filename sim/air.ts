import type { Message } from '../src/store.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

interface Listener {
  readonly process: Process
  readonly hear: (message: Message) => void
}

/** Carries hints; many are lost, doubled or late. */
export class Air {
  /** Of hints, the share that something happens to. */
  noise = 0
  readonly #world: World
  readonly #topics = new Map<string, Set<Listener>>()

  constructor(world: World) {
    this.#world = world
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
    const { chance, timeline } = this.#world
    for (const listener of this.#topics.get(topic) ?? []) {
      const fault = chance.maybe(this.noise) ? chance.one(['dropped', 'doubled', 'late']) : undefined
      if (fault) this.#world.count('faults', `hint: ${fault}`)
      if (fault === 'dropped') continue
      const deliver = (): void => {
        timeline.after(fault === 'late' ? chance.next() * 5_000 : chance.next() * 3, () =>
          listener.process.enter(() => this.#topics.get(topic)?.has(listener) && listener.hear(message)),
        )
      }
      deliver()
      if (fault === 'doubled') deliver()
    }
  }
}
