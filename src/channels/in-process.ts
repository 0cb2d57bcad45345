import type { Channel, Message } from '../store.ts'
import { isMessage } from './message.ts'

type Listener = (message: Message) => void

/** A channel between all callers that share this object. */
export interface InProcessChannel extends Channel {
  /** Calls the listeners at once, with a message that came from elsewhere and was validated there. */
  deliver(topic: string, message: Message): void
}

/** Calls each listener in a microtask of its own, including the publisher's; `deliver` calls them at once. */
export function inProcessChannel(): InProcessChannel {
  const topics = new Map<string, Set<Listener>>()

  const tell = (topic: string, listener: Listener, message: Message): void => {
    if (!topics.get(topic)?.has(listener)) return
    try {
      listener({ ...message })
    } catch {
      // A listener that throws loses the hint, but must not crash the process.
    }
  }

  return {
    trusted: true,
    publish(topic, message) {
      const listeners = topics.get(topic)
      if (!listeners || !isMessage(message)) return
      const said = { ...message }
      for (const listener of listeners) queueMicrotask(() => tell(topic, listener, said))
    },
    deliver(topic, message) {
      for (const listener of [...(topics.get(topic) ?? [])]) tell(topic, listener, message)
    },
    subscribe(topic, listener) {
      const listeners = topics.get(topic) ?? new Set()
      topics.set(topic, listeners)
      // Subscribing a function twice makes two subscriptions.
      const own = (message: Message) => listener(message)
      listeners.add(own)
      return () => {
        listeners.delete(own)
        if (!listeners.size && topics.get(topic) === listeners) topics.delete(topic)
      }
    },
  }
}
