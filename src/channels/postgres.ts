import { createHash, randomBytes } from 'node:crypto'
import type { Channel } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage, missed } from './message.ts'

/** A connection on which notices arrive. */
interface Listening {
  query(text: string): Promise<unknown>
  on(event: 'notification', listener: (notice: { readonly channel: string; readonly payload?: string | undefined }) => void): unknown
}

export interface PostgresChannelOptions {
  /** Calls `up` with each new connection that can listen, from the first use on. @returns how to stop */
  use(user: { up(client: Listening): Promise<void> }): () => void
  /** Runs a statement on any connection. */
  query(text: string, values: readonly unknown[]): Promise<unknown>
  /** A secret that only users who can read the locks know. Channel names are made from it, so that no other user can publish or listen. */
  secret(): Promise<string>
}

export interface PostgresChannel extends Channel {
  /** Called when the secret has changed. */
  renew(): void
  close(): void
}

/** How many characters of a message go in one notice: with three bytes each they stay below Postgres's limit of 8,000 bytes. */
const part = 2_500
/** The longest message with its topic, in bytes, and in characters once some are escaped. */
const longest = 16_384
const longestEscaped = 3 * longest

/**
 * A channel between all processes that are connected to one database, by LISTEN and NOTIFY.
 *
 * Postgres commits transactions that notify one after another. So notices have a transaction of their own, which writes nothing and waits for no
 * disk. Messages that are published meanwhile go together in the next one.
 */
export function postgresChannel({ use, query, secret }: PostgresChannelOptions): PostgresChannel {
  const here = inProcessChannel()
  const sender = randomBytes(6).toString('base64url')
  /** How many listeners each topic has here. */
  const topics = new Map<string, number>()
  /** The topics by the names of their channels. */
  const names = new Map<string, string>()
  /** By sender, the parts that have arrived of an incomplete message. */
  const heard = new Map<string, string>()
  let outgoing: [topic: string, text: string][] = []
  let busy = false
  let number = 0
  let client: Listening | undefined
  let stop: (() => void) | undefined
  let key: Promise<string> | undefined
  let closed = false
  /** The last statement of the connection. */
  let said: Promise<unknown> = Promise.resolve()

  const nameOf = async (topic: string): Promise<string> => {
    key ??= secret()
    key.catch(() => {
      key = undefined
    })
    return `storelock_${createHash('sha256')
      .update(JSON.stringify([await key, topic]))
      .digest('hex')
      .slice(0, 40)}`
  }

  /** Makes the connection listen to a topic if the topic has subscribers, and stop listening otherwise. */
  const tune = async (topic: string): Promise<void> => {
    const name = await nameOf(topic)
    const wanted = topics.has(topic)
    if (wanted === names.has(name)) return
    if (wanted) names.set(name, topic)
    else names.delete(name)
    // The statements run one after another, because a `pg` client should get one at a time.
    said = said.then(() => client?.query(`${wanted ? 'LISTEN' : 'UNLISTEN'} ${name}`))
    const mine = said
    said = said.catch(() => {})
    await mine
    if (wanted && client) here.deliver(topic, missed)
  }

  const receive = (name: string, payload = ''): void => {
    const wanted = names.get(name)
    // A payload has the sender, a running number, a dot in the last part, and the text.
    const [, from = '', last, text = ''] = /^(\S+) \d+ (\.?) (.*)$/s.exec(payload) ?? []
    if (wanted === undefined || from === sender || last === undefined) return
    const whole = (heard.get(from) ?? '') + text
    if (!last) {
      if (whole.length <= longestEscaped) heard.set(from, whole)
      return
    }
    heard.delete(from)
    try {
      const [topic, message] = JSON.parse(whole)
      if (topic === wanted && isMessage(message)) here.deliver(topic, message)
    } catch {
      // It is not one of our messages.
    }
  }

  const send = async (): Promise<void> => {
    if (busy) return
    busy = true
    while (outgoing.length && !closed) {
      const notices: [name: string, payload: string][] = []
      const batch = outgoing
      outgoing = []
      try {
        for (const [topic, text] of batch) {
          const name = await nameOf(topic)
          for (let at = 0; at < text.length; at += part) {
            notices.push([name, `${sender} ${number++} ${at + part < text.length ? '' : '.'} ${text.slice(at, at + part)}`])
          }
        }
        const [names, payloads] = [notices.map(([name]) => name), notices.map(([, payload]) => payload)]
        await query('SELECT pg_notify(name, payload) FROM unnest($1::text[], $2::text[]) AS n (name, payload)', [names, payloads])
      } catch {
        // A hint may be lost.
      }
    }
    busy = false
  }

  return {
    trusted: true,
    publish(topic, message) {
      if (!isMessage(message) || closed) return
      here.publish(topic, message)
      try {
        // Surrogates are escaped, so that no part begins or ends within a character.
        const text = JSON.stringify([topic, message])
        if (Buffer.byteLength(text) - 3 > longest) return
        outgoing.push([topic, text.replace(/[\ud800-\udfff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`)])
        send()
      } catch {
        // The message cannot be written as JSON, so the hint is lost.
      }
    },
    subscribe(topic, listener) {
      let unhear: (() => void) | undefined = here.subscribe(topic, listener)
      topics.set(topic, (topics.get(topic) ?? 0) + 1)
      // If this fails, the next connection listens to the topic.
      tune(topic).catch(() => {})
      stop ??= use({
        async up(next) {
          client = next
          said = Promise.resolve()
          next.on('notification', ({ channel, payload }) => next === client && receive(channel, payload))
          heard.clear()
          names.clear()
          for (const topic of [...topics.keys()]) await tune(topic)
        },
      })
      return () => {
        if (!unhear) return
        unhear()
        unhear = undefined
        const left = (topics.get(topic) ?? 1) - 1
        if (left) topics.set(topic, left)
        else topics.delete(topic)
        if (!left) tune(topic).catch(() => {})
      }
    },
    renew() {
      key = undefined
      names.clear()
      for (const topic of topics.keys()) tune(topic).catch(() => {})
    },
    close() {
      closed = true
      stop?.()
    },
  }
}
