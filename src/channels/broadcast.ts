import type { Channel, Message } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage } from './message.ts'

/** A channel that can be closed. */
export interface BroadcastingChannel extends Channel {
  /** Stops all subscriptions, and carries nothing any more. May be called twice. */
  close(): void
}

/**
 * A channel between the tabs and workers of an origin that open one of the same name, and between all callers that share this object.
 *
 * Best effort: a message reaches the contexts that are subscribed when it is published, usually within a millisecond. A tab in the back/forward cache
 * is not subscribed. Messages of one sender keep their order, also on several topics. The size of a message is not limited, but it is copied into
 * every tab and worker that has a subscription of this name. Posts of other code are ignored unless they have the same form.
 * The engine's own channel is open only while there are subscriptions: an open one keeps a page out of the back/forward cache.
 *
 * @param degraded is called with the error when the engine's channel cannot be opened, and without one when it can be opened again: each subscription
 * and message tries
 */
export function broadcastChannel(name: string, degraded: (error?: Error) => void = () => {}): BroadcastingChannel {
  // The engine's channel does not deliver a context's own messages, so this one does.
  const here = inProcessChannel()
  let listeners = 0
  let open: BroadcastChannel | undefined
  let closed = false

  const openNow = (): BroadcastChannel => {
    const channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isParcel(data)) here.deliver(data.topic, data.message)
    }
    // In Node, the channel would keep the process alive.
    const { unref } = channel as { unref?: () => void }
    unref?.call(channel)
    return channel
  }

  /** Opens the engine's channel, if possible. */
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
          // Messages that were posted before are still delivered.
          if (channel !== open) channel.close()
        }
        here.publish(topic, message)
      } catch {
        // The message cannot be cloned, or the page is gone: the hint is lost.
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

/** Any code of the origin may post under this name. */
function isParcel(data: unknown): data is Parcel {
  const { topic, message } = (data ?? {}) as Partial<Parcel>
  return typeof topic === 'string' && isMessage(message)
}
