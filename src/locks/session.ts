import { type Command, LockError, type SessionRow } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { Arrivals } from './arrivals.ts'
import type { Clock } from './clock.ts'
import { leaseFor } from './core/grant.ts'
import type { LetGo, Surroundings } from './core/known.ts'
import { deadAmong } from './dead.ts'
import { Deadlocks } from './deadlock.ts'
import { Ending } from './ending.ts'
import type { LockWarning } from './events.ts'
import { Heart } from './heart.ts'
import { Hints } from './hints.ts'
import { type Home, type Settings, surroundingsOf } from './home.ts'
import { newId } from './id.ts'
import type { Lease } from './lease.ts'
import type { Line } from './line.ts'
import { Lines } from './lines.ts'
import { Outbox, type Reply } from './outbox.ts'
import { assertNotGone } from './page.ts'
import { Patience } from './patience.ts'
import { Presence } from './presence.ts'
import { Seen } from './seen.ts'
import { Unsaid } from './unsaid.ts'
import { within } from './within.ts'

/** One context's session: what its parts share, and what ends with it. */
export class Session implements Home {
  readonly settings: Settings
  readonly clock: Clock
  readonly client: string = newId()
  /** The page for which this worker has the session; '' if it is this context's own. */
  realm = ''
  readonly heart: Heart<Lease>
  readonly seen: Seen
  readonly surroundings: Surroundings
  readonly #patience: Patience
  readonly #outbox: Outbox
  readonly #unsaid = new Unsaid(this)
  readonly lines: Lines = new Lines(this)
  readonly hints: Hints = new Hints(this, this.lines)
  readonly #presence = new Presence(this)
  readonly #arrivals = new Arrivals(this, this.lines)
  readonly ending: Ending = new Ending(this)
  readonly #deadlocks = new Deadlocks(this)
  #closed: LockError | undefined
  #closing: Promise<void> | undefined
  readonly #stopHearing: readonly ((() => void) | undefined)[]

  constructor(settings: Settings) {
    this.settings = settings
    this.clock = settings.clock
    const { clock, duration, store } = settings
    this.surroundings = surroundingsOf(this)
    this.seen = new Seen(settings.observe, (listener) => this.call(listener))
    this.heart = new Heart(this, (now) => this.#unsaid.sayAgain(now))
    this.#patience = new Patience(clock, store, leaseFor(duration))
    this.#outbox = new Outbox(store, clock, this.#patience, (reply, late) => this.#arrivals.passOn(reply, late))
    this.#stopHearing = [store.onDegraded?.((why) => this.hints.noteDegraded(why)), store.onLost?.((why) => this.end(why))]
  }

  /** It changes whenever the session ends: when its page is left, or when another session ends it. */
  get id(): string {
    return this.#presence.id
  }

  /** Whether leases may linger: other sessions must be able to ask for the lock at once. */
  get lingers(): boolean {
    return this.settings.linger > 0 && this.hints.come
  }

  /** The line for a key, for a call that uses it until it gives it back. */
  line(key: string, name: string): Line {
    this.assertOpen()
    return this.lines.take(key, name)
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  assertOpen(): void {
    if (this.#closed) throw this.#closed
    assertNotGone()
  }

  /** Makes the session known to the store, once: its beacon first, then its row. @returns `undefined` if it is known there */
  open(): Promise<void> | undefined {
    this.assertOpen()
    return this.#presence.open()
  }

  /** Which of these sessions are proved dead now. */
  async dead(rows: Iterable<SessionRow>): Promise<Set<string>> {
    const { store, expiry } = this.settings
    return expiry === 'auto' ? deadAmong(rows, store.beacon, this.id) : new Set()
  }

  /** Sends a command; rejects with `store` if it is not known to have been carried out. */
  send(command: Command): Promise<Reply> {
    return this.#outbox.send(command)
  }

  /** Reads from the store; rejects with `store` if it fails. @param waits whether the caller waits for a lock */
  read<T>(from: (store: Store) => Promise<T>, waits = false): Promise<T> {
    return this.#patience.read(from, waits)
  }

  /** Resolves when the store has answered everything sent before, or those answers are no longer awaited. */
  async answered(): Promise<void> {
    // Earlier requests wait for the session too, and are sent before this goes on.
    await this.#presence.settled()
    await this.#outbox.answered()
  }

  /** Sends a beat. */
  beat(): Promise<Reply> {
    return this.#presence.beat()
  }

  /** Whether the context sleeps, like a page that was left. */
  get isAsleep(): boolean {
    return this.#presence.isAsleep
  }

  /** A user's transaction has carried out a command of this session. */
  wrote(reply: Reply): void {
    this.#arrivals.passOn(reply)
    const { outcome, sent, drift } = reply
    const row = outcome.type === 'renewed' && outcome.holder.seq === undefined ? outcome.record.sessions.get(this.id) : undefined
    if (row) this.heart.beats.renewedWithin(row, sent, drift)
  }

  /** A line waits for a lock that this session holds. @returns the error for one of its requests, if it is to be rejected */
  waitsForItself(line: Line): LockError | undefined {
    const others = [...this.lines.all()].filter((each) => each !== line && each.state.stuckSince(this.clock.monotonic()))
    return this.#deadlocks.found([line, ...others])
  }

  /** Looks at a record soon. */
  lookAt(key: string): void {
    this.lines.get(key)?.looks.poke()
  }

  /** Makes sure that a release or withdrawal reaches the store, as {@link Unsaid.letGo} does. */
  letGo(what: LetGo, name: string): Promise<void> {
    return this.#unsaid.letGo(what, name)
  }

  forget(lease: Lease): void {
    this.heart.leases.delete(lease)
    const line = this.lines.get(lease.key)
    line?.leases.forget(lease)
    if (line) this.lines.settle(line)
  }

  /**
   * Looks at the records that should name a hold of this session; holds that are missing there are lost. Rejects if the store fails.
   * @param which their keys, if it is known which ones the news concerns
   */
  async lookAtHolds(which?: readonly string[]): Promise<void> {
    const keys = new Set(which ?? [...this.heart.leases].map(({ key }) => key))
    await Promise.all([...keys].map((key) => this.lines.get(key)?.looks.look()))
  }

  warn(warning: LockWarning): void {
    this.call(() => this.settings.onWarning(warning))
  }

  /** Calls a user's listener. If it throws, that must not affect the caller. */
  async call(listener: () => unknown): Promise<void> {
    try {
      await listener()
    } catch (error) {
      console.error(error)
    }
  }

  /** Requests are withdrawn while a page is frozen, since it cannot answer. They are sent again when it resumes, together with later ones. */
  sleep(asleep: boolean): void {
    this.#presence.sleep(asleep)
    for (const line of this.lines.all()) line.sleep(asleep)
  }

  /** The store says that another session has ended this one. */
  givenUp(): void {
    this.#presence.doubt()
    this.end('it was given up as dead')
  }

  /** Ends this session: its holds are lost, and its requests are sent again under the next one, which starts with the next command. */
  end(why: string): void {
    this.#loseAll(why)
    this.leaveStore()
    for (const line of this.lines.all()) if (!line.idle) line.looks.poke()
  }

  /**
   * Ends this session with its page, which may come back: the next one sleeps until then.
   * @param silently writes nothing, because this code may be stopped in the middle of a transaction: the lowered beacon proves the end
   */
  leave(silently = false): void {
    this.sleep(true)
    this.#loseAll('the page was left')
    this.#outbox.leaveUnsaid(this.id)
    this.leaveStore(silently)
  }

  #loseAll(why: string): void {
    for (const lease of [...this.heart.leases]) lease.lose('ended', `its session ended: ${why}`)
  }

  /** Ends the session for good. Resolves, also if called again, when everything is released or, if the store does not answer, after a lease. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = new LockError('closed', 'these locks were closed')
    this.#closed = closed
    for (const stop of this.#stopHearing) stop?.()
    const left: Promise<unknown>[] = [this.#unsaid.sayLast()]
    for (const line of this.lines.all()) line.close(closed)
    for (const lease of [...this.heart.leases]) left.push(lease.release())
    const said = Promise.allSettled([...left, this.leaveStore()])
    await within<unknown>(this.clock, said, leaseFor(this.settings.duration), undefined, () => undefined)
    this.#patience.end()
    this.heart.stop()
  }

  /** Sends the session's end, in one batch with its releases; the next command opens a session with a new id. */
  leaveStore(silently = false): Promise<void> {
    const goodbye = silently ? Promise.resolve() : this.#presence.sayGoodbye()
    this.#outbox.flush()
    goodbye.then(() => this.hints.dismissWatchers())
    this.hints.end()
    this.ending.run(() => this.#presence.end())
    return goodbye
  }
}
