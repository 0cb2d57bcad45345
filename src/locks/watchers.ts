import type { LockRecord } from '../protocol/index.ts'
import type { Message } from '../store.ts'

/** How many are kept; any further ones poll by themselves. */
const capacity = 1_000

/** Sessions that wait, outside the queue, until locks of this session are free. This session notifies them, or has the next holder do so. */
export class Watchers {
  readonly #tell: (topic: string, message: Message) => void
  readonly #watching = new Map<string, Set<string>>()
  /** How many there are. */
  count = 0

  constructor(tell: (topic: string, message: Message) => void) {
    this.#tell = tell
  }

  /** Whether a session waits until this lock is free. */
  has(key: string): boolean {
    return this.#watching.has(key)
  }

  /** Another session waits until a lock of this session is free, and listens on a topic. */
  add(key: string, topic: string): void {
    const topics = this.#watching.get(key) ?? new Set()
    if (topics.has(topic) || this.count >= capacity) return
    this.count += 1
    this.#watching.set(key, topics.add(topic))
  }

  /** A record after a command of this session, whose id is `own`. */
  saw({ key, holders }: LockRecord, own: string): void {
    if (!this.#watching.has(key) || holders.some(({ session }) => session === own)) return
    const [next] = holders
    for (const topic of this.#take(key)) {
      if (next) this.#tell(next.session, { key, watch: topic })
      else this.#tell(topic, { key })
    }
  }

  /** This session has ended: wakes all watchers, which poll by themselves from now on. */
  dismiss(): void {
    for (const key of [...this.#watching.keys()]) for (const topic of this.#take(key)) this.#tell(topic, { key })
  }

  #take(key: string): Set<string> {
    const topics = this.#watching.get(key) ?? new Set()
    this.#watching.delete(key)
    this.count -= topics.size
    return topics
  }
}
