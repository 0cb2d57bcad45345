import { type Holder, LockError, type LockRecord } from '../protocol/index.ts'
import type { Message } from '../store.ts'
import type { HintSender, Home } from './home.ts'
import type { Lines } from './lines.ts'
import { Watchers } from './watchers.ts'

const isWhole = Number.isSafeInteger as (value: unknown) => value is number

/** A session's part in the store's channel: sends hints to other sessions, and hears its own. If the channel fails, waiters still look. */
export class Hints implements HintSender {
  readonly #session: Home
  readonly #lines: Lines
  readonly #watchers = new Watchers((session, message) => this.send(session, message))
  #unsubscribe: (() => void) | undefined
  #degraded = false
  /** Whether the channel has failed before. */
  #mute = false

  constructor(session: Home, lines: Lines) {
    this.#session = session
    this.#lines = lines
  }

  /** Whether hints reach this session, as far as is known. */
  get come(): boolean {
    return this.#unsubscribe !== undefined && !this.#degraded
  }

  /** Hears hints for the session from now on. */
  begin(): void {
    this.#unsubscribe = this.#subscribe(this.#session.id, (message) => this.#heard(message))
  }

  /** The session has ended. */
  end(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  /** The store says that there are no hints or no proofs of death, and why; without a reason, that they work again. */
  noteDegraded(why: string | undefined): void {
    if (why === undefined) this.#degraded = false
    else this.#degrade(why)
  }

  /** Locks stay correct without hints or proofs, only slower. */
  #degrade(why: string, cause?: unknown): void {
    this.#degraded = true
    this.#session.warn({ type: 'degraded', names: [], error: new LockError('store', why, { cause }) })
  }

  /** The channel threw, although it must not. */
  #channelFailed(error: unknown): void {
    if (!this.#mute) this.#degrade('no hints: the channel fails', error)
    this.#mute = true
  }

  #subscribe(topic: string, listener: (message: Message) => void): (() => void) | undefined {
    try {
      return this.#session.settings.store.channel?.subscribe(topic, listener)
    } catch (error) {
      this.#channelFailed(error)
      return undefined
    }
  }

  send(session: string, message: Message): void {
    try {
      if (session === this.#session.id) this.#heard(message)
      else this.#session.settings.store.channel?.publish(session, message)
    } catch (error) {
      this.#channelFailed(error)
    }
  }

  /** Sends all holders of a lock a hint to look at its record. */
  sendAll({ key, holders }: LockRecord): void {
    for (const { session } of holders) this.send(session, { key })
  }

  /** A hint says that a record changed, and may name a grant of this session. An empty one says that others may have been missed. */
  #heard({ key, number, token, previous, reserve, watch }: Message): void {
    if (typeof key !== 'string') {
      for (const { state, looks } of this.#lines.all()) if (state.requests.size) looks.poke()
      return
    }
    const { id, seen } = this.#session
    seen.tell({ type: 'hinted', key, session: id, token: isWhole(token) ? token : undefined })
    const line = this.#lines.get(key)
    if (typeof watch === 'string') this.#watched(key, watch)
    else if (!line) return
    else if (isWhole(number) && isWhole(token) && isWhole(previous))
      line.carryOut(line.state.hinted({ number, token, previous, reserve: isWhole(reserve) ? reserve : undefined }, this.#session.clock.monotonic()))
    else line.looks.poke()
  }

  /** Subscribes to another topic until the session ends. @returns how to stop */
  hear(topic: string, listener: () => void): () => void {
    // A sleeping page may have to leave its channel closed.
    const stop = this.#session.isAsleep ? undefined : this.#subscribe(topic, listener)
    return stop ? this.#session.ending.also(stop) : () => {}
  }

  /** Asks the holders of a lock to publish on a topic when it is free. */
  askWhenFree(key: string, holders: readonly Holder[], topic: string): void {
    for (const { session } of holders) this.send(session, { key, watch: topic })
  }

  /** Another session waits until a lock is free, and listens on a topic. */
  #watched(key: string, topic: string): void {
    const leases = this.#lines.get(key)?.leases
    if (leases?.any()) {
      this.#watchers.add(key, topic)
      leases.dropIdle()
    } else {
      // A release may be on its way to the store: once the store has answered, a look shows it.
      this.#session.answered().then(() => this.send(topic, { key }))
    }
  }

  /** Whether a session waits, outside the queue, until a lock of this session is free. */
  isWatched(key: string): boolean {
    return this.#watchers.has(key)
  }

  /** A record after a command of this session. */
  saw(record: LockRecord): void {
    if (this.#watchers.count) this.#watchers.saw(record, this.#session.id)
  }

  /** Sessions that wait until a lock of this session is free look by themselves from now on. */
  dismissWatchers(): void {
    this.#watchers.dismiss()
  }
}
