import { randomBytes } from 'node:crypto'
import type { Channel, Message } from '../store.ts'
import type { EtcdClient } from './etcd/client.ts'
import { encode } from './etcd/form.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage, missed } from './message.ts'

/** How many bytes a message may have. */
const longest = 16_384

export interface EtcdChannel extends Channel {
  /** The key that is watched for a topic. */
  keyOf(topic: string): string
  /** The value to put there for messages that are published in a transaction of the store, and so arrive with it. */
  textOf(messages: readonly Message[]): string
  close(): void
}

/**
 * A channel between all processes that use the same etcd and prefix: each topic has a key, which its subscribers watch.
 *
 * Best effort: a message is a write, as durable as others, but it is lost if it is put before the watch is up, or compacted while the watch is
 * interrupted. The hint of a grant goes with the transaction that grants, so `publish` leaves it out. The key of a topic is removed with its last
 * subscription here.
 *
 * @param degraded is called with the reason in words when no messages arrive, and with `undefined` once they arrive again
 */
export function etcdChannel(client: EtcdClient, prefix: string, degraded: (why: string | undefined) => void): EtcdChannel {
  const sender = randomBytes(9).toString('base64url')
  const here = inProcessChannel()
  const topics = new Map<string, { listeners: number; stop(): void }>()
  let closed = false

  const keyOf = (topic: string): string => `${prefix}/h/${topic}`
  const textOf = (messages: readonly Message[]): string => JSON.stringify([sender, ...messages])

  const hear = (topic: string, value: string): void => {
    try {
      const [from, ...messages] = JSON.parse(value) as unknown[]
      // Own messages were delivered when they were sent.
      if (from !== sender) for (const message of messages) if (isMessage(message)) here.deliver(topic, message)
    } catch {
      // Other programs may write there too.
    }
  }

  const watch = (topic: string): (() => void) => {
    const state = (why: string | undefined): void => {
      degraded(why)
      if (why === undefined) here.deliver(topic, missed)
    }
    return client.watch(keyOf(topic), { heard: (value) => hear(topic, value), state })
  }

  return {
    trusted: true,
    keyOf,
    textOf,
    publish(topic, message) {
      if (closed || !isMessage(message)) return
      here.publish(topic, message)
      const value = textOf([message])
      const isGrant = typeof message.token === 'number'
      if (isGrant || Buffer.byteLength(value) + Buffer.byteLength(topic) > longest) return
      client.call('kv/put', { key: encode(keyOf(topic)), value: encode(value) }).catch(() => {})
    },
    subscribe(topic, listener) {
      const stop = here.subscribe(topic, listener)
      const known = topics.get(topic)
      if (known) known.listeners += 1
      else if (!closed) topics.set(topic, { listeners: 1, stop: watch(topic) })
      let listening = true
      return () => {
        const own = topics.get(topic)
        if (!listening || !own) return
        listening = false
        stop()
        own.listeners -= 1
        if (own.listeners || closed) return
        topics.delete(topic)
        own.stop()
        client.call('kv/deleterange', { key: encode(keyOf(topic)) }).catch(() => {})
      }
    },
    close() {
      closed = true
      for (const { stop } of topics.values()) stop()
    },
  }
}
