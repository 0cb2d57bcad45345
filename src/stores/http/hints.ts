import type { InProcessChannel } from '../../channels/in-process.ts'
import { type Lacks, makeLacks } from '../../channels/lacks.ts'
import { isMessage } from '../../channels/message.ts'
import type { ApplyReply, HintEvent, OpenEvent, PublishBody, Ticket } from '../../server/wire.ts'
import type { Channel, Message } from '../../store.ts'
import type { Connection } from './connection.ts'
import { readEvents } from './events.ts'
import type { Topics } from './topics.ts'

/** The first and the longest pause before the stream is opened again, in ms. */
const pauses = { first: 50, longest: 5_000 }
/** How long the stream may be silent before it counts as broken, in ms: the server pings more often. */
const silence = 40_000
/** The longest message with its topic, in bytes, as for every channel. */
const maxBytes = 16_384
/** How many messages go in one request. */
const maxMessages = 100

interface Parts {
  readonly connection: Connection
  /** The channel between the sessions that share this store. */
  readonly local: InProcessChannel
  readonly topics: Topics
  /** Called with the lockTokens that came with a hint. */
  granted(ticket: Ticket): void
  /** Identifies this store to the server. */
  readonly sender: string
  /** Sends `topics` to the server. */
  topicsChanged(): void
}

export interface Hints {
  readonly channel: Channel
  onDegraded: Lacks['onDegraded']
  /** Notes which sessions the server itself has sent hints to. */
  saw(reply: ApplyReply): void
  /** Called when another server is in use, because the stream has to come from that server. */
  moved(): void
  close(): void
}

/** Hints from the server arrive over one event stream; hints from here go to the server in requests. */
export function makeHints({ connection, local, topics, granted, sender, topicsChanged }: Parts): Hints {
  const lacks = makeLacks()
  const told = new Set<string>()
  let closed = false
  /** Ends the stream. There is a stream only while there are subscribers: a browser has six connections to a server, and each stream takes one. */
  let streaming: AbortController | undefined
  /** Ends the current attempt, once it has a stream. */
  let reading: AbortController | undefined
  let outgoing: { topic: string; message: Message }[] = []

  const hear = (event: string, data: string): void => {
    if (event === 'open') {
      lacks.regain('hints')
      if (topics.opened((JSON.parse(data) as OpenEvent).topics)) topicsChanged()
    }
    if (event !== 'hint') return
    const { topic, message, lockTokens = [] } = JSON.parse(data) as HintEvent
    for (const ticket of lockTokens) granted(ticket)
    if (isMessage(message)) local.deliver(topic, message)
  }

  const listen = async (stop: AbortSignal): Promise<void> => {
    for (let failures = 0; !stop.aborted; failures++) {
      // Ends this attempt, alone or together with the stream.
      const over = new AbortController()
      const end = (): void => over.abort()
      stop.addEventListener('abort', end)
      let why = 'the server’s event stream is silent'
      try {
        const parts = await connection.stream(`/v1/events?${new URLSearchParams({ sender })}`, over)
        if (!parts) {
          lacks.say('hints', ': the `fetch` here cannot read a stream')
          return
        }
        reading = over
        await readEvents(parts, over.signal, silence, (event, data) => {
          failures = 0
          if (!stop.aborted) hear(event, data)
        })
      } catch (error) {
        why = (error as Error).message
      }
      reading = undefined
      // Only a second failure in a row is reported, so that a short restart of the server is not. Waiters poll meanwhile.
      if (failures && !stop.aborted) lacks.say('hints', ` for now: ${why}`)
      // If this stream was stopped, another one may be open by now.
      if (!stop.aborted) topics.ended()
      stop.removeEventListener('abort', end)
      end()
      await rest(Math.min(pauses.first * 2 ** failures, pauses.longest) * (0.75 + Math.random() / 2), stop)
    }
  }

  const endStream = (): void => {
    topics.ended()
    streaming?.abort()
    streaming = undefined
  }

  const flush = async (): Promise<void> => {
    await Promise.resolve()
    const messages = outgoing
    outgoing = []
    for (let from = 0; from < messages.length; from += maxMessages) {
      const body: PublishBody = { messages: messages.slice(from, from + maxMessages) }
      // A lost hint need not be repeated.
      await connection.post('/v1/publish', body, []).catch(() => {})
    }
  }

  return {
    onDegraded: lacks.onDegraded,
    channel: {
      publish(topic, message) {
        if (closed || !isMessage(message)) return
        local.publish(topic, message)
        // Local subscribers already have the message; the server itself sends hints of grants and evictions.
        if ((message.watch === undefined && told.delete(`${topic} ${message.key}`)) || isGrant(message)) return
        if (new TextEncoder().encode(JSON.stringify([topic, message])).length > maxBytes) return
        if (outgoing.push({ topic, message }) === 1) flush()
      },
      subscribe(topic, listener) {
        const unsubscribe = local.subscribe(topic, listener)
        if (topics.add(topic)) topicsChanged()
        if (!streaming && !closed) {
          streaming = new AbortController()
          listen(streaming.signal)
        }
        let left = false
        return () => {
          if (left) return
          left = true
          unsubscribe()
          topics.remove(topic)
          if (!topics.any) endStream()
        }
      },
    },
    saw({ outcomes }) {
      told.clear()
      for (const outcome of outcomes) {
        if (!('grants' in outcome)) continue
        const { key, holders } = outcome.record
        for (const { session } of [...outcome.grants, ...outcome.evicted, ...(outcome.type === 'queued' ? holders : [])])
          told.add(`${session} ${key}`)
      }
    },
    moved() {
      topics.moved()
      reading?.abort()
    },
    close() {
      closed = true
      endStream()
    },
  }
}

/** Whether a message tells a session that it was granted the lock. */
const isGrant = ({ key, number, token, previous }: Message): boolean =>
  typeof key === 'string' && [number, token, previous].every((part) => typeof part === 'number')

const rest = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const over = (): void => {
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer: unknown = setTimeout(over, ms)
    if (typeof timer === 'object') (timer as { unref(): void }).unref()
    signal.addEventListener('abort', over)
  })
