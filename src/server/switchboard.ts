import type { LockView } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import { answer, type Fault, responseOf, tooMany } from './answers.ts'
import { type Budgets, whoOf } from './budgets.ts'
import type { Hub } from './hub.ts'
import type { Limits } from './options.ts'
import { Sender, Senders } from './senders.ts'
import { makeStream } from './stream.ts'
import type { OpenEvent, PublishBody } from './wire.ts'

/** How often a stream shows that its connection works, in ms. */
const pingEvery = 15_000

/** What the switchboard needs from the store. */
export interface Records {
  /** Which of these are ids of sessions, of clients or of processes that use the store directly. */
  sessionsAmong(topics: readonly string[]): Promise<Set<string>>
  read(key: string): Promise<LockView | undefined>
}

/** Connects clients' event streams to their topics. */
export class Switchboard {
  readonly #hub: Hub
  readonly #limits: Limits
  readonly #budgets: Budgets
  readonly #senders: Senders
  readonly #limited: (limit: keyof Limits) => void
  readonly #lost: (session: string) => void
  readonly #records: Records
  readonly #streams = new Set<Sender>()
  readonly #pinging: NodeJS.Timeout
  #nameless = 0
  #closed = false

  /** Calls `limited` for each stream that it drops, and `lost` for each topic of a stream that has ended, which is a reason to look and no proof. */
  constructor(hub: Hub, limits: Limits, budgets: Budgets, records: Records, limited: (limit: keyof Limits) => void, lost: (session: string) => void) {
    this.#hub = hub
    this.#limits = limits
    this.#records = records
    this.#limited = limited
    this.#lost = lost
    this.#budgets = budgets
    this.#senders = new Senders(budgets, (sender) => this.#setTopics(sender, []))
    this.#pinging = setInterval(() => {
      this.dropFallen()
      for (const { stream } of this.#streams) stream?.ping()
      this.#senders.forgetOld()
    }, pingEvery)
    this.#pinging.unref()
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size
  }

  senderOf(id: string, caller: Caller): Sender | Fault {
    return this.#senders.of(id, caller) ?? tooMany(this.#limits, 'senders')
  }

  /** Sets the topics of a sender's stream. @returns a fault if there are too many */
  setTopics(sender: Sender, topics: readonly string[]): Fault | undefined {
    return this.#setTopics(sender, topics) ? undefined : tooMany(this.#limits, 'topics')
  }

  #setTopics(sender: Sender, topics: readonly string[]): boolean {
    const more = new Set(topics).size - sender.topics.size
    if (more > 0 && !this.#budgets.take(sender.who, 'topics', more)) return false
    if (more < 0) this.#budgets.give(sender.who, 'topics', -more)
    this.#hub.setTopics(sender, topics)
    return true
  }

  /** Opens the event stream of a sender, and closes the one that it may have. */
  connect(caller: Caller, id: string | undefined, topics: readonly string[] | undefined): Response {
    if (this.#closed) return answer(503, 'closed', 'the server is shutting down')
    const who = whoOf(caller)
    const sender = this.senderOf(id ?? `stream ${++this.#nameless}`, caller)
    if ('status' in sender) return responseOf(sender)
    sender.stream?.close()
    const fault = this.#budgets.take(who, 'streams') ? topics && this.setTopics(sender, topics) : tooMany(this.#limits, 'streams')
    if (fault) {
      if (id === undefined) this.#senders.forget(sender)
      return responseOf(fault)
    }
    const tooSlow = (): void => this.#limited('buffer')
    const stream = makeStream(this.#limits.buffer, tooSlow, () => {
      this.#budgets.give(who, 'streams')
      if (sender.stream !== stream) return
      sender.stream = undefined
      this.#streams.delete(sender)
      for (const topic of sender.topics) this.#lost(topic)
      if (id === undefined) this.#senders.forget(sender)
    })
    sender.stream = stream
    this.#streams.add(sender)
    stream.send('open', { topics: sender.topics.size } satisfies OpenEvent)
    return new Response(stream.body, {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
    })
  }

  /** Calls a function each time a session gets a hint, until `stop` is called: for a pending request of the session's client. */
  listen(caller: Caller, session: string, heard: () => void): { readonly sender: Sender; stop(): void } | Fault {
    const sender = new Sender(session, caller)
    sender.stream = { send: heard, ping() {}, close() {} }
    return this.setTopics(sender, [session]) ?? { sender, stop: () => void this.#setTopics(sender, []) }
  }

  /**
   * Passes on what a client may publish. A session gets only hints to look at a key, and only if the caller may use the key and the session holds it
   * or waits for it. Only the server sends hints of grants.
   */
  async publish(caller: Caller, messages: PublishBody['messages']): Promise<void> {
    const sessions = await this.#records.sessionsAmong(messages.map(({ topic }) => topic))
    const views = new Map<string, Promise<LockView | undefined>>()
    for (const { topic, message } of messages) {
      if (!sessions.has(topic)) {
        if (caller.mayHear(topic)) this.#hub.publish(topic, message)
        continue
      }
      const { key, watch } = message
      if (typeof key !== 'string' || !caller.mayUse(key)) continue
      const looking = views.get(key) ?? this.#records.read(key)
      views.set(key, looking)
      const view = await looking
      if (view && [...view.holders, ...view.queue].some(({ session }) => session === topic)) {
        // A request to be notified on a topic when the lock is free is passed on only if the caller may listen to that topic.
        this.#hub.publish(topic, { key, ...(typeof watch === 'string' && caller.mayHear(watch) && { watch }) })
      }
    }
  }

  /** Ends the streams of credentials that are no longer valid or have other rights now: on reconnecting, the new rights apply. */
  dropFallen(): void {
    for (const { caller, stream } of [...this.#streams]) if (!caller.stands()) stream?.close()
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
