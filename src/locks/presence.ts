import { type Beat, LockError, type SessionRow, storeError } from '../protocol/index.ts'
import type { RaisedBeacon } from '../store.ts'
import { realms } from './contention.ts'
import { leaseFor } from './core/grant.ts'
import type { Home } from './home.ts'
import { newId } from './id.ts'
import { endLeftovers } from './leftovers.ts'
import type { Reply } from './outbox.ts'
import { within } from './within.ts'

/**
 * How long a session waits for its beacon, in ms, before it starts without it: until the beacon is up, a crash is noticed only when the lease ends.
 */
const raising = 1_000

/** A session's presence in the store: its beacon and its row, under an id that changes whenever the session ends. */
export class Presence {
  readonly #session: Home
  #id = newId()
  #opened: Promise<void> | undefined
  #isOpen = false
  #beacon: RaisedBeacon | undefined
  /** Resolves when the sleeping context is awake again: a page that is being left must open nothing. */
  #awake: Promise<void> | undefined
  #wake = (): void => {}

  constructor(session: Home) {
    this.#session = session
  }

  get id(): string {
    return this.#id
  }

  get isAsleep(): boolean {
    return this.#awake !== undefined
  }

  /** The context falls asleep, or wakes. */
  sleep(asleep: boolean): void {
    if (!asleep) {
      this.#wake()
      this.#awake = undefined
      return
    }
    this.#awake ??= new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Makes the session known to the store, once: its beacon first, then its row. @returns `undefined` if it is known there */
  open(): Promise<void> | undefined {
    if (this.#isOpen) return undefined
    this.#opened ??= this.#open()
    return this.#opened
  }

  async #open(): Promise<void> {
    const session = this.#session
    // After any `await`, the current session may be another one.
    const id = this.#id
    realms.set(id, session.realm)
    try {
      await this.#awake
      const raised = id === this.#id ? await this.#raise(id) : undefined
      if (raised) this.#light(id, raised)
      if (id === this.#id) await this.#enter(id)
    } catch (error) {
      // The row may exist: the next try needs another session.
      if (id === this.#id) session.leaveStore()
      throw storeError(error, 'the session could not be opened')
    }
    // If it was ended meanwhile, its waiters go on under the next session.
    if (id === this.#id) this.#isOpen = true
    else await session.open()
  }

  /** Writes the session's row, and handles the other rows that the answer shows. */
  async #enter(id: string): Promise<void> {
    const session = this.#session
    const { heart, hints, settings } = session
    hints.begin()
    const { beacon, channel } = settings.store
    const topic = channel?.commonTopic
    if (topic) hints.hear(topic, () => heart.beatNow())
    const others = topic || beacon?.isOut ? id : undefined
    const { outcome, sent, drift } = await this.beat({ opens: true, others })
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type !== 'beaten' || id !== this.#id) return
    heart.start(outcome.session, sent, drift)
    // There are no other rows. Other sessions may have lost theirs, for example because a page has cleared the origin's storage.
    if (topic && !outcome.stale.length) hints.send(topic, {})
    // If this fails, the next session tries again.
    endLeftovers(session, outcome.stale, (after) => this.#rowsAfter(after)).catch(() => {})
  }

  /** A session also works without a beacon, since its lease still ends, so this does not wait long. */
  async #raise(id: string): Promise<RaisedBeacon | undefined> {
    const { clock, settings } = this.#session
    try {
      const raised = settings.store.beacon?.raise(id)
      const goOn = (): undefined => {
        const error = new LockError('store', `no proofs of death yet: the beacon of this session has not come up within ${raising} ms`)
        this.#session.warn({ type: 'degraded', names: [], error })
        raised?.then(async (late) => this.#light(id, late) && (await this.beat())).catch(() => {})
      }
      return raised && (await within<RaisedBeacon | undefined>(clock, raised, raising, undefined, goOn))
    } catch {
      return undefined
    }
  }

  /** A session's beacon is up. @returns whether that session is still the current one; otherwise the beacon is lowered */
  #light(id: string, raised: RaisedBeacon): boolean {
    if (id !== this.#id) {
      raised.lower()
      return false
    }
    this.#beacon = raised
    raised.moved?.then(async () => id === this.#id && (await this.beat())).catch(() => {})
    raised.lost.then((why) => id === this.#id && this.#session.end(typeof why === 'string' ? why : 'its beacon went out'))
    return true
  }

  /** The session rows after this id, as a beat returns them. */
  async #rowsAfter(others: string): Promise<readonly SessionRow[]> {
    const { outcome } = await this.beat({ others })
    return outcome.type === 'beaten' ? outcome.stale : []
  }

  /** Sends a beat. */
  beat(options: Pick<Beat, 'opens' | 'others'> = {}): Promise<Reply> {
    const { client, settings } = this.#session
    const { duration, label } = settings
    return this.#session.send({
      type: 'beat',
      session: this.#id,
      client,
      lease: leaseFor(duration),
      label,
      beacon: this.#beacon?.address,
      ...options,
    })
  }

  /** Resolves when the session is open, or could not be opened. */
  async settled(): Promise<void> {
    await this.#opened?.catch(() => {})
  }

  /** Another session took this one for dead: its beacon may have been wrong. */
  doubt(): void {
    this.#beacon?.doubt?.()
  }

  /** Tells the store that the session has ended, if it was known there. @returns resolves when the store has answered, or has failed */
  async sayGoodbye(): Promise<void> {
    if (this.#opened) await this.#session.send({ type: 'end', session: this.#id }).catch(() => {})
  }

  /** The session has ended. The next one has another id. */
  end(): void {
    this.#beacon?.lower()
    this.#beacon = this.#opened = undefined
    this.#isOpen = false
    realms.delete(this.#id)
    this.#id = newId()
  }
}
