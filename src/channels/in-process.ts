import type { Channel, Message } from '../store.ts'
import { isMessage } from './message.ts'

/** A channel between all that share this object. Listeners are called in a microtask of their own, the publisher's too. */
export function inProcessChannel(): Channel {
  const topics = new Map<string, Set<(message: Message) => void>>()

  return {
    publish(topic, message) {
      if (!isMessage(message)) return
      const said = { ...message }
      for (const listener of topics.get(topic) ?? []) queueMicrotask(() => deliver(topic, listener, { ...said }))
    },
    subscribe(topic, listener) {
      const listeners = topics.get(topic) ?? new Set()
      topics.set(topic, listeners)
      // Listening twice with one function is listening twice.
      const own = (message: Message) => listener(message)
      listeners.add(own)
      return () => {
        listeners.delete(own)
        if (!listeners.size && topics.get(topic) === listeners) topics.delete(topic)
      }
    },
  }

  function deliver(topic: string, listener: (message: Message) => void, message: Message): void {
    if (!topics.get(topic)?.has(listener)) return
    try {
      listener(message)
    } catch {
      // A hint that its listener cannot use is a hint lost, and no reason to bring down the process.
    }
  }
}
