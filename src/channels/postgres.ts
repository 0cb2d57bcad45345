import { createHash, randomBytes } from 'node:crypto'
import type { Channel } from '../store.ts'
import { inProcessChannel } from './in-process.ts'
import { isMessage } from './message.ts'

/** A connection on which others' notices arrive. */
interface Listening {
  query(text: string): Promise<unknown>
  on(event: 'notification', listener: (notice: { readonly channel: string; readonly payload?: string | undefined }) => void): unknown
}

export interface PostgresChannelOptions {
  /** Calls `up` with each new connection that can listen, from the first use on. @returns how to stop */
  use(user: { up(client: Listening): Promise<void> }): () => void
  /** Runs a statement on any connection. */
  query(text: string, values: readonly unknown[]): Promise<unknown>
  /** What only those know who can read the locks: the names of channels are made of it, so nobody else can publish or listen. */
  secret(): Promise<string>
}

export interface PostgresChannel extends Channel {
  /** The secret is another one now. */
  renew(): void
  close(): void
}

/** How many characters of a message go in one notice: with three bytes each they stay below the 8,000 that Postgres takes. */
const part = 2_500
/** The longest message with its topic, in bytes, and in characters once some are escaped. */
const longest = 16_384
const longestEscaped = 3 * longest

/**
 * A channel between all that are connected to one database, by LISTEN and NOTIFY.
 *
 * Postgres commits transactions that notify one after another, so a notice has a transaction of its own, which writes nothing and waits for no disk. What
 * is published while one is under way goes together with the next.
 */
export function postgresChannel({ use, query, secret }: PostgresChannelOptions): PostgresChannel {
  const here = inProcessChannel()
  const sender = randomBytes(6).toString('base64url')
  /** How many listeners each topic has here. */
  const topics = new Map<string, number>()
  /** The topics by the names of their channels. */
  const names = new Map<string, string>()
  /** By sender, what has arrived of a message in several parts. */
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

  /** Has the connection hear of a topic, or no longer. */
  const tune = async (topic: string): Promise<void> => {
    const name = await nameOf(topic)
    const wanted = topics.has(topic)
    if (wanted === names.has(name)) return
    if (wanted) names.set(name, topic)
    else names.delete(name)
    // One after another, as a client wants it.
    said = said.then(() => client?.query(`${wanted ? 'LISTEN' : 'UNLISTEN'} ${name}`))
    const mine = said
    said = said.catch(() => {})
    await mine
  }

  const receive = (name: string, payload = ''): void => {
    const wanted = names.get(name)
    // Sender, running number, a dot in the last part, and the text.
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
      // It is none of ours.
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
        // Escaped, so that no part of it begins or ends within a character.
        const text = JSON.stringify([topic, message])
        if (Buffer.byteLength(text) - 3 > longest) return
        outgoing.push([topic, text.replace(/[\ud800-\udfff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`)])
        send()
      } catch {
        // A bigint, or a function that fails.
      }
    },
    subscribe(topic, listener) {
      let unhear: (() => void) | undefined = here.subscribe(topic, listener)
      topics.set(topic, (topics.get(topic) ?? 0) + 1)
      // If it fails, the next connection hears it.
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
