import { randomBytes } from 'node:crypto'
import type { Channel, Message } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage } from './message.ts'
import { openLink, type RedisClient, type RedisLink } from './redis/client.ts'

/** The topic that all sessions hear. */
const common = 'all'
/** How many bytes a message may have. */
const longest = 16_384

export interface RedisChannel extends Channel {
  /** The records may have changed unseen: everyone here who holds something looks. */
  stir(): void
  /** Connects anew: the connection may be one that was cut unseen, or lead to the wrong server. */
  renew(): void
  close(): void
}

/**
 * A channel between all that have the same Redis, by its publish/subscribe, on a connection of its own.
 *
 * Best effort: a message reaches those who are subscribed and connected when it is published. After a lost connection all topics are subscribed again.
 * Messages of one publisher keep their order. Databases of one Redis share its channels, so the prefix must differ where the locks do.
 *
 * @param publish sends a command by another connection
 * @param degraded is called with the reason in words when nothing is received, and with `undefined` once it is again
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
    // Without the client's package the store itself fails, and says so.
    opened.catch(() => {})
    return opened
  }

  const up = async (): Promise<void> => {
    const link = await open()
    try {
      // What was sent when the connection broke is not known to have arrived.
      await Promise.all(Array.from(topics.keys(), (topic) => link.subscribe(nameOf(topic))))
      degraded(undefined)
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

  const hear = (channel: string, text: string): void => {
    if (!channel.startsWith(nameOf(''))) return
    try {
      const [from, message] = JSON.parse(text) as unknown[]
      // Own messages were delivered when they were sent.
      if (from !== sender && isMessage(message)) here.deliver(channel.slice(nameOf('').length), message)
    } catch {
      // Others may publish there too.
    }
  }

  const tell = async (how: 'subscribe' | 'unsubscribe', topic: string): Promise<void> => {
    const link = await open()
    // Nothing can be done if it fails: it is subscribed again with the next connection.
    await link[how](nameOf(topic)).catch(() => {})
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
    stir: () => here.deliver(common, {} satisfies Message),
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
