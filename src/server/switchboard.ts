import type { Message } from '../store.ts'
import type { Caller } from './access.ts'
import { answer } from './answers.ts'
import type { Hub } from './hub.ts'
import type { Limits } from './options.ts'
import { type Sender, Senders } from './senders.ts'
import { makeStream } from './stream.ts'
import type { OpenEvent, PublishBody } from './wire.ts'

/** How often a stream shows that its connection stands, in ms. */
const pingEvery = 15_000

/** Connects clients' event streams to what they listen to. */
export class Switchboard {
  readonly #hub: Hub
  readonly #limits: Limits
  readonly #senders: Senders
  readonly #lost: (session: string) => void
  readonly #streams = new Set<Sender>()
  readonly #perClient = new Map<string, number>()
  readonly #pinging: NodeJS.Timeout
  #nameless = 0
  #closed = false

  /** Calls `lost` for each topic of a stream that has ended: reason to look, and no more. */
  constructor(hub: Hub, limits: Limits, lost: (session: string) => void) {
    this.#hub = hub
    this.#limits = limits
    this.#lost = lost
    this.#senders = new Senders((sender) => hub.setTopics(sender, []))
    this.#pinging = setInterval(() => {
      for (const { stream } of this.#streams) stream?.ping()
      this.#senders.forgetOld()
    }, pingEvery)
    this.#pinging.unref()
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size
  }

  senderOf(id: string, caller: Caller): Sender {
    return this.#senders.of(id, caller)
  }

  setTopics(sender: Sender, topics: readonly string[]): void {
    this.#hub.setTopics(sender, topics)
  }

  /** Opens the event stream of a sender, in place of the one that it may have. */
  connect(caller: Caller, id: string | undefined, topics: readonly string[] | undefined): Response {
    if (this.#closed) return answer(503, 'closed', 'the server is shutting down')
    const who = caller.name || caller.address || ''
    const count = this.#perClient.get(who) ?? 0
    if (count >= this.#limits.streams) return answer(429, 'too-many', `more than ${this.#limits.streams} event streams`, { 'retry-after': '1' })
    const sender = this.#senders.of(id ?? `stream ${++this.#nameless}`, caller)
    sender.stream?.close()
    this.#perClient.set(who, (this.#perClient.get(who) ?? 0) + 1)
    const stream = makeStream(this.#limits.buffer, () => {
      const left = (this.#perClient.get(who) ?? 1) - 1
      if (left) this.#perClient.set(who, left)
      else this.#perClient.delete(who)
      if (sender.stream !== stream) return
      sender.stream = undefined
      this.#streams.delete(sender)
      for (const topic of sender.topics) this.#lost(topic)
      if (id === undefined) this.#hub.setTopics(sender, [])
    })
    sender.stream = stream
    this.#streams.add(sender)
    if (topics) this.#hub.setTopics(sender, topics)
    stream.send('open', { topics: sender.topics.size } satisfies OpenEvent)
    return new Response(stream.body, {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
    })
  }

  /** Passes on what a client may say. */
  publish(caller: Caller, messages: PublishBody['messages']): void {
    for (const { topic, message } of messages) {
      const { key } = message
      // A client's hint says look, and no more: who was granted what, the server says.
      const said: Message = typeof key === 'string' ? { key } : message
      if (caller.mayHear(typeof key === 'string' ? key : topic)) this.#hub.publish(topic, said)
    }
  }

  /** Tells all streams to come back later. */
  close(): void {
    this.#closed = true
    clearInterval(this.#pinging)
    for (const { stream } of [...this.#streams]) {
      stream?.send('bye', {})
      stream?.close()
    }
    for (const sender of this.#senders.all()) this.#hub.setTopics(sender, [])
  }
}
