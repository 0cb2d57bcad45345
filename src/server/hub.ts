import type { LockView } from '../protocol/index.ts'
import type { Channel, Message } from '../store.ts'
import type { Caller } from './access.ts'
import type { Budgets } from './budgets.ts'
import { type Owners, sameOwner } from './owners.ts'
import type { Sender } from './senders.ts'
import { type KeyRing, makeLockToken } from './tokens.ts'
import type { HintEvent, Ticket } from './wire.ts'

interface Topic {
  readonly senders: Set<Sender>
  readonly unsubscribe: (() => void) | undefined
}

/** Carries hints to the event streams of clients, and between them and whoever listens on the store's own channel. */
export class Hub {
  readonly #channel: Channel | undefined
  readonly #owners: Owners
  readonly #ring: KeyRing
  readonly #budgets: Budgets
  readonly #topics = new Map<string, Topic>()

  constructor(channel: Channel | undefined, owners: Owners, ring: KeyRing, budgets: Budgets) {
    this.#channel = channel
    this.#owners = owners
    this.#ring = ring
    this.#budgets = budgets
  }

  /** What a sender's stream carries from now on. */
  setTopics(sender: Sender, topics: readonly string[]): void {
    const wanted = new Set(topics)
    for (const topic of sender.topics) if (!wanted.has(topic)) this.#leave(sender, topic)
    for (const topic of wanted) if (!sender.topics.has(topic)) this.#join(sender, topic)
    sender.topics = wanted
  }

  #join(sender: Sender, name: string): void {
    const topic = this.#topics.get(name) ?? { senders: new Set(), unsubscribe: this.#listen(sender.who, name) }
    this.#topics.set(name, topic)
    topic.senders.add(sender)
  }

  /** Listens on the store's own channel, where that costs a socket for each topic. One that has none left hears what goes through here. */
  #listen(who: string, name: string): (() => void) | undefined {
    if (!this.#channel || !this.#budgets.take(who, 'sockets')) return undefined
    const stop = this.#channel.subscribe(name, (message) => this.#deliver(name, message))
    return () => {
      this.#budgets.give(who, 'sockets')
      stop()
    }
  }

  #leave(sender: Sender, name: string): void {
    const topic = this.#topics.get(name)
    if (!topic?.senders.delete(sender) || topic.senders.size) return
    topic.unsubscribe?.()
    this.#topics.delete(name)
  }

  /** Tells a session, here or elsewhere, but for one that the teller itself hears of by its reply. */
  tell(session: string, message: Message, teller?: Sender): void {
    const here = this.#topics.get(session)
    if (!here) this.#channel?.publish(session, message)
    else if (!teller || !here.senders.has(teller)) this.#deliver(session, message)
  }

  /** Passes a client's message on to all who listen. */
  publish(topic: string, message: Message): void {
    this.#channel?.publish(topic, message)
    const here = this.#topics.get(topic)
    if (here && !here.unsubscribe) this.#deliver(topic, message)
  }

  /** A look showed a record: whoever has a grant there and has not confirmed it may not have heard of it, and is told to look. */
  saw({ key, holders }: LockView): void {
    for (const { session, unconfirmed } of holders) if (unconfirmed && this.#topics.has(session)) this.#deliver(session, { key })
  }

  #deliver(topic: string, message: Message): void {
    const owner = this.#owners.known(topic)
    for (const sender of this.#topics.get(topic)?.senders ?? []) {
      // What a session hears is for its owner alone.
      const own = owner !== undefined && sameOwner(owner, sender.caller.owner)
      if (!own && (owner !== undefined || !mayHear(sender.caller, topic, message))) continue
      const event: HintEvent = { topic, message, lockTokens: own ? this.#tickets(topic, message) : undefined }
      sender.stream?.send('hint', event)
    }
  }

  /** With the news of a grant comes what it takes to use it. Who may write to the store's channel may write to the store. */
  #tickets(session: string, { key, number, token }: Message): Ticket[] | undefined {
    if (typeof key !== 'string' || typeof number !== 'number' || typeof token !== 'number') return undefined
    return [{ key, session, token, number, lockToken: makeLockToken(this.#ring, { key, session, token }) }]
  }
}

/** Whether a caller may hear what is said on a topic that is not one of its sessions: it may be that of a process at the store itself. */
const mayHear = (caller: Caller, topic: string, { key }: Message): boolean => caller.mayHear(topic) && (typeof key !== 'string' || caller.mayUse(key))
