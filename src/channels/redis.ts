import { randomBytes } from 'node:crypto'
import type { Channel } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage, missed } from './message.ts'
import { openLink, type RedisClient, type RedisLink } from './redis/client.ts'

/** The topic that all sessions subscribe to. */
const common = 'all'
/** How many bytes a message may have. */
const longest = 16_384

export interface RedisChannel extends Channel {
  /** Makes all sessions here that hold something look, because the records may have changed without a hint. */
  stir(): void
  /** Connects again, because the connection may have been cut without notice, or may lead to the wrong server. */
  renew(): void
  close(): void
}

/**
 * A channel between all processes that use the same Redis, by its publish/subscribe, on a connection of its own.
 *
 * Best effort: a message reaches the processes that are subscribed and connected when it is published. After a lost connection all topics are
 * subscribed again. Messages of one publisher keep their order. All databases of a Redis share its channels, so stores with different locks need
 * different prefixes.
 *
 * @param publish publishes a message over another connection
 * @param degraded is called with the reason in words when no messages arrive, and with `undefined` once they arrive again
 */
export function redisChannel(
  target: string | RedisClient,
  prefix: string,
  publish: (channel: string, text: string) => Promise<unknown>,
  degraded: (why: string | undefined) => void,
  patience: number,
): RedisChannel {
  const sender = randomBytes(9).toString('base64url')
  const here = inProcessChannel()
  /** How many listeners each topic has. */
  const topics = new Map<string, number>()
  let opened: Promise<RedisLink> | undefined
  let closed = false

  const nameOf = (topic: string): string => `${prefix}:hint:${topic}`

  const open = (): Promise<RedisLink> => {
    opened ??= openLink(target, { up, down: ({ message }) => degraded(message), message: hear }, patience)
    // If the client's package is missing, the store itself fails and says so.
    opened.catch(() => {})
    return opened
  }

  const up = async (): Promise<void> => {
    const link = await open()
    try {
      // A subscription that was sent when the connection broke may not have arrived.
      await Promise.all(Array.from(topics.keys(), (topic) => link.subscribe(nameOf(topic))))
      degraded(undefined)
      for (const topic of topics.keys()) begun(topic)
    } catch (error) {
      degraded((error as Error).message)
    }
  }

  const leave = (): void => {
    opened?.then(
      (link) => link.close(),
      () => {},
    )
    opened = undefined
  }

  /** A topic is heard from now on. On the common topic, saying so would make all sessions beat. */
  const begun = (topic: string): void => {
    if (topic !== common) here.deliver(topic, missed)
  }

  const hear = (channel: string, text: string): void => {
    if (!channel.startsWith(nameOf(''))) return
    try {
      const [from, message] = JSON.parse(text) as unknown[]
      // Own messages were delivered when they were sent.
      if (from !== sender && isMessage(message)) here.deliver(channel.slice(nameOf('').length), message)
    } catch {
      // Other programs may publish there too.
    }
  }

  const tell = async (how: 'subscribe' | 'unsubscribe', topic: string): Promise<void> => {
    const link = await open()
    await link[how](nameOf(topic))
    if (how === 'subscribe') begun(topic)
  }

  return {
    trusted: true,
    commonTopic: common,
    publish(topic, message) {
      if (closed || !isMessage(message)) return
      here.publish(topic, message)
      const text = JSON.stringify([sender, message])
      if (Buffer.byteLength(text) + Buffer.byteLength(topic) <= longest) publish(nameOf(topic), text).catch(() => {})
    },
    subscribe(topic, listener) {
      const stop = here.subscribe(topic, listener)
      const count = topics.get(topic) ?? 0
      topics.set(topic, count + 1)
      // If this fails, nothing has to be done: the next connection subscribes to all topics again.
      if (!count && !closed) tell('subscribe', topic).catch(() => {})
      let listening = true
      return () => {
        if (!listening) return
        listening = false
        stop()
        const left = (topics.get(topic) ?? 1) - 1
        if (left) topics.set(topic, left)
        else topics.delete(topic)
        if (!left && !closed) tell('unsubscribe', topic).catch(() => {})
      }
    },
    stir: () => here.deliver(common, missed),
    renew() {
      leave()
      if (topics.size && !closed) open()
    },
    close() {
      closed = true
      leave()
    },
  }
}
