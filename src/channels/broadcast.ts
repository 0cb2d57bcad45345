import type { Channel, Message } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage } from './message.ts'

/** A channel that can be closed. */
export interface BroadcastingChannel extends Channel {
  /** Stops listening, for all that listened, and carries nothing any more. May be called twice. */
  close(): void
}

/**
 * A channel between the tabs and workers of an origin that make one of the same name, and between all that share this object.
 *
 * Best effort: a message reaches who listens when it is published, as a rule within a millisecond; a tab in the back/forward cache
 * does not listen. Messages of one sender keep their order, also on several topics. There is no limit to the size of a message, but
 * each is copied into every tab and worker that listens to any topic of this name. What anyone else posts there is ignored unless
 * it looks the same.
 *
 * The engine's own channel is open only while somebody listens: an open one keeps a page out of the back/forward cache.
 *
 * @param degraded is called when the engine's channel cannot be opened, with its error, and without one when it could be after all: that
 * is tried again whenever somebody listens or publishes
 */
export function broadcastChannel(name: string, degraded: (error?: Error) => void = () => {}): BroadcastingChannel {
  // The engine's channel does not hear its own messages, so those go to the listeners here by themselves.
  const here = inProcessChannel()
  let listeners = 0
  let open: BroadcastChannel | undefined
  let closed = false

  const openNow = (): BroadcastChannel => {
    const channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isParcel(data)) here.deliver(data.topic, data.message)
    }
    // In Node it would keep the process alive.
    const { unref } = channel as { unref?: () => void }
    unref?.call(channel)
    return channel
  }

  /** Hears others, if that can be. */
  const listen = (): void => {
    if (open || closed || !listeners) return
    try {
      open = openNow()
      degraded()
    } catch (error) {
      degraded(error as Error)
    }
  }

  const close = (): void => {
    open?.close()
    open = undefined
  }

  return {
    trusted: true,
    commonTopic: 'all',
    publish(topic, message) {
      if (closed || !isMessage(message)) return
      listen()
      try {
        const channel = open ?? new BroadcastChannel(name)
        try {
          channel.postMessage({ topic, message } satisfies Parcel)
        } finally {
          // What was posted arrives all the same.
          if (channel !== open) channel.close()
        }
        here.publish(topic, message)
      } catch {
        // It cannot be cloned, or the page is gone: a hint lost.
      }
    },
    subscribe(topic, listener) {
      const stop = here.subscribe(topic, listener)
      listeners += 1
      listen()
      let listening = true
      return () => {
        if (!listening) return
        listening = false
        stop()
        listeners -= 1
        if (!listeners) close()
      }
    },
    close() {
      closed = true
      close()
    },
  }
}

interface Parcel {
  readonly topic: string
  readonly message: Message
}

/** Anyone of the origin may post under this name. */
function isParcel(data: unknown): data is Parcel {
  const { topic, message } = (data ?? {}) as Partial<Parcel>
  return typeof topic === 'string' && isMessage(message)
}
