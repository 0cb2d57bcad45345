import type { LockView, Outcome } from '../protocol/index.ts'
import type { Channel, Message } from '../store.ts'
import type { Caller } from './access.ts'
import type { Budgets } from './budgets.ts'
import { type Owners, sameOwner } from './owners.ts'
import type { Sender } from './senders.ts'
import { type KeyRing, makeLockToken } from './tokens.ts'
import type { HintEvent, Ticket, WireCommand } from './wire.ts'

interface Topic {
  readonly senders: Set<Sender>
  readonly unsubscribe: (() => void) | undefined
}

/** Sends hints to the event streams of clients, and passes messages between clients and the subscribers of the store's own channel. */
export class Hub {
  readonly #channel: Channel | undefined
  readonly #spansMachines: boolean
  readonly #owners: Owners
  readonly #ring: KeyRing
  readonly #budgets: Budgets
  readonly #topics = new Map<string, Topic>()

  /** @param spansMachines whether clients of other servers use the same channel, on which one more topic costs no socket */
  constructor(channel: Channel | undefined, spansMachines: boolean, owners: Owners, ring: KeyRing, budgets: Budgets) {
    this.#channel = channel
    this.#spansMachines = spansMachines
    this.#owners = owners
    this.#ring = ring
    this.#budgets = budgets
  }

  /** Sets the topics of a sender's stream. */
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

  /** Subscribes to the store's own channel, unless the sender has no budget for the socket. Then only messages that go through this server arrive. */
  #listen(who: string, name: string): (() => void) | undefined {
    if (!this.#channel) return undefined
    const hear = (message: Message): void => this.#deliver(name, message)
    if (this.#spansMachines) return this.#channel.subscribe(name, hear)
    if (!this.#budgets.take(who, 'sockets')) return undefined
    const stop = this.#channel.subscribe(name, hear)
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

  /** Sends a hint to a session, here or elsewhere, except to `teller`, which gets it with its reply. */
  tell(session: string, message: Message, teller?: Sender): void {
    const here = this.#topics.get(session)
    if (!here) this.#channel?.publish(session, message)
    else if (!teller || !here.senders.has(teller)) {
      // A client whose stream has ended may be connected to another server by now.
      if ([...here.senders].every(({ stream }) => !stream)) this.#channel?.publish(session, message)
      this.#deliver(session, message)
    }
  }

  /** Notifies the sessions concerned of what a command did. @param sender the command's sender, which learns it from its reply */
  announce(command: WireCommand, outcome: Outcome, sender?: Sender): void {
    if (!('grants' in outcome)) return
    const { record, grants, evicted } = outcome
    const { key } = record
    for (const { session, number, token, previous, reserve } of grants)
      this.tell(session, { key, number, token, previous, ...(reserve !== undefined && { reserve }) }, sender)
    for (const { session } of evicted) this.tell(session, { key }, sender)
    if (command.type !== 'request' || outcome.type !== 'queued') return
    const wanted = command.ask !== undefined || record.holders.some(({ reserve }) => reserve !== undefined)
    if (wanted) for (const { session } of record.holders) this.tell(session, { key }, sender)
  }

  /** Passes a client's message on to all subscribers. */
  publish(topic: string, message: Message): void {
    this.#channel?.publish(topic, message)
    const here = this.#topics.get(topic)
    if (here && !here.unsubscribe) this.#deliver(topic, message)
  }

  /** A look showed a record. A session with an unconfirmed grant in it may not know of the grant, so it gets a hint to look. */
  saw({ key, holders }: LockView): void {
    for (const { session, unconfirmed } of holders) if (unconfirmed && this.#topics.has(session)) this.#deliver(session, { key })
  }

  #deliver(topic: string, message: Message): void {
    const owner = this.#owners.known(topic)
    for (const sender of this.#topics.get(topic)?.senders ?? []) {
      // Hints to a session are only for its owner.
      const own = owner !== undefined && sameOwner(owner, sender.caller.owner)
      if (!own && (owner !== undefined || !mayHear(sender.caller, topic, message))) continue
      const event: HintEvent = { topic, message, lockTokens: own ? this.#tickets(topic, message) : undefined }
      sender.stream?.send('hint', event)
    }
  }

  /** The hint of a grant includes its lockToken, even from the store's channel: a process that can publish there can also write to the store. */
  #tickets(session: string, { key, number, token }: Message): Ticket[] | undefined {
    if (typeof key !== 'string' || typeof number !== 'number' || typeof token !== 'number') return undefined
    return [{ key, session, token, number, lockToken: makeLockToken(this.#ring, { key, session, token }) }]
  }
}

/** Whether a caller may get messages on a topic that is no client's session. It may be the session of a process that uses the store directly. */
const mayHear = (caller: Caller, topic: string, { key }: Message): boolean => caller.mayHear(topic) && (typeof key !== 'string' || caller.mayUse(key))
