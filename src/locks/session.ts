import {
  type Beat,
  type Command,
  type Holder,
  LockError,
  type LockRecord,
  lossOf,
  type Policy,
  type Release,
  type SessionRow,
  storeError,
  type Withdraw,
} from '../protocol/index.ts'
import type { Message, RaisedBeacon, Store } from '../store.ts'
import type { Clock } from './clock.ts'
import { realms } from './contention.ts'
import { leaseFor } from './core/grant.ts'
import type { Surroundings } from './core/key.ts'
import { Observer } from './core/observer.ts'
import { isDead } from './dead.ts'
import { Deadlocks } from './deadlock.ts'
import { Heart } from './heart.ts'
import type { Home, Settings } from './home.ts'
import { newId } from './id.ts'
import type { Lease } from './lease.ts'
import { endLeftovers } from './leftovers.ts'
import { Line } from './line.ts'
import { Outbox, type Reply } from './outbox.ts'
import { assertNotGone } from './page.ts'
import { Pasts } from './past.ts'
import { Patience } from './patience.ts'
import { Seen } from './seen.ts'
import type { LockWarning } from './types.ts'
import { Unsaid } from './unsaid.ts'
import { Watchers } from './watchers.ts'
import { within } from './within.ts'

/** How many idle lines a session keeps. */
const idleLines = 100
/** For how many further names it keeps what it observed of holders. */
const observers = 10_000

/** How long a session waits for its beacon, in ms, before it starts without: until the beacon comes, a crash is noticed only when the lease ends. */
const raising = 1_000

const isWhole = Number.isSafeInteger as (value: unknown) => value is number

/** One context's presence in a store: its commands and hints, its lines and its heart. */
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
  readonly #lines = new Map<string, Line>()
  readonly #observers = new Map<string, Observer>()
  /** The idle lines, longest idle first. */
  readonly #idle = new Set<Line>()
  readonly #pasts = new Pasts()
  /** At least as high as the number of any request of a line that is gone: numbers are never used twice. */
  #number = 0
  readonly #watchers = new Watchers((session, message) => this.#hint(session, message))
  #id = newId()
  #opened: Promise<void> | undefined
  #beacon: RaisedBeacon | undefined
  #unsubscribe: (() => void) | undefined
  /** Stops something that goes on until the session ends. */
  readonly #atEnd = new Set<() => void>()
  #degraded = false
  /** How to end each pause early. */
  readonly #pauses = new Set<() => void>()
  /** Resolves when the sleeping context is awake again: a page that is being left must open nothing. */
  #awake: Promise<void> | undefined
  #wake = (): void => {}
  /** Whether the channel has failed before. */
  #mute = false
  readonly #deadlocks = new Deadlocks(this)
  #closed: LockError | undefined
  #closing: Promise<void> | undefined
  readonly #stopHearing: readonly ((() => void) | undefined)[]

  constructor(settings: Settings) {
    this.settings = settings
    this.clock = settings.clock
    const { clock, duration, maxBackoff, store } = settings
    const session = this
    this.surroundings = {
      get id() {
        return session.id
      },
      get trusted() {
        return store.channel?.trusted === true
      },
      // Three pauses between looks.
      confirm: Math.max(3 * maxBackoff, 500),
      duration,
    }
    this.seen = new Seen(settings.observe, (listener) => this.call(listener))
    this.heart = new Heart(this, (now) => this.#unsaid.sayAgain(now))
    this.#patience = new Patience(clock, store, leaseFor(settings.duration))
    this.#outbox = new Outbox(store, clock, this.#patience, (reply, late) => this.#arrived(reply, late))
    this.#stopHearing = [
      store.onDegraded?.((why) => {
        if (why === undefined) this.#degraded = false
        else this.#degrade(why)
      }),
      store.onLost?.((why) => this.end(why)),
    ]
  }

  /** A page that was left, or a session that others ended, gets another. */
  get id(): string {
    return this.#id
  }

  /** Whether leases may linger: others must be able to ask for the lock at once. */
  get lingers(): boolean {
    return this.settings.linger > 0 && this.hears
  }

  /** Whether hints reach this session, as far as is known. */
  get hears(): boolean {
    return this.#unsubscribe !== undefined && !this.#degraded
  }

  get policy(): Policy {
    return this.settings.policy
  }

  /** This session's line for a key, for a call that uses it until {@link Session.giveBack}. */
  line(key: string, name: string): Line {
    this.assertOpen()
    return this.lineToReadFrom(key, name)
  }

  /** As {@link Session.line}, also once these locks are closed: what is remembered of a key can still be read then. */
  lineToReadFrom(key: string, name: string): Line {
    let line = this.#lines.get(key)
    if (!line) {
      line = new Line(this, key, name, this.#pasts.take(key), this.#number)
      line.sleep(this.isAsleep)
      this.#lines.set(key, line)
    }
    line.users += 1
    this.#idle.delete(line)
    return line
  }

  /** A call no longer needs a line. */
  giveBack(line: Line): void {
    line.users -= 1
    this.settle(line)
  }

  /** Keeps some idle lines, since names tend to be used again, and drops the others. */
  settle(line: Line): void {
    if (!line.idle || line.retired) return
    this.#idle.delete(line)
    this.#idle.add(line)
    if (this.#idle.size <= idleLines) return
    const [oldest] = this.#idle as Iterable<Line> as [Line]
    this.#idle.delete(oldest)
    this.#lines.delete(oldest.key)
    oldest.retired = true
    this.#number = Math.max(this.#number, oldest.lastNumber)
    const { past } = oldest.leases
    if (past) this.#pasts.keep(oldest.key, past)
    if (oldest.looks.observer.size) this.#observers.set(oldest.key, oldest.looks.observer)
    const [first] = this.#observers.keys()
    if (this.#observers.size > observers && first !== undefined) this.#observers.delete(first)
  }

  /** What a dropped line had observed of a key's holders: refusals count as looks, also if a caller tries many names in turn. */
  takeObserver(key: string): Observer {
    const observer = this.#observers.get(key) ?? new Observer()
    this.#observers.delete(key)
    return observer
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  assertOpen(): void {
    if (this.#closed) throw this.#closed
    assertNotGone()
  }

  /** Makes the session known to the store, once: its beacon first, then its row. */
  open(): Promise<void> {
    this.assertOpen()
    this.#opened ??= this.#open()
    return this.#opened
  }

  async #open(): Promise<void> {
    // After any wait the present session may be another one.
    const id = this.#id
    realms.set(id, this.realm)
    try {
      await this.#awake
      const raised = id === this.#id ? await this.#raise(id) : undefined
      if (raised) this.#light(id, raised)
      if (id === this.#id) {
        this.#unsubscribe = this.#listen(id)
        const { beacon, channel } = this.settings.store
        const topic = channel?.commonTopic
        if (topic) this.hear(topic, () => this.heart.beatNow())
        const others = topic || beacon?.isOut ? id : undefined
        const { outcome, sent, drift } = await this.beat({ opens: true, others })
        if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
        if (outcome.type === 'beaten' && id === this.#id) {
          this.heart.start(outcome.session, sent, drift)
          // All other sessions have lost their rows, for example because a page has cleared the origin's storage.
          if (topic && !outcome.stale.length) this.#hint(topic, {})
          // If this fails, the next session tries again.
          endLeftovers(this, outcome.stale, (after) => this.#rowsAfter(after)).catch(() => {})
        }
      }
    } catch (error) {
      // The row may exist: the next try needs another session.
      if (id === this.#id) this.#leave()
      throw storeError(error, 'the session could not be opened')
    }
    // It was ended meanwhile: its waiters go on under the next one.
    if (id !== this.#id) await this.open()
  }

  /** A session also works without a beacon, since its lease still ends, so this does not wait long. */
  async #raise(id: string): Promise<RaisedBeacon | undefined> {
    try {
      const raised = this.settings.store.beacon?.raise(id)
      const goOn = (): undefined => {
        this.#warnDegraded(`no proofs of death yet: the beacon of this session has not come up within ${raising} ms`)
        raised?.then(async (late) => this.#light(id, late) && (await this.beat())).catch(() => {})
      }
      return raised && (await within<RaisedBeacon | undefined>(this.clock, raised, raising, undefined, goOn))
    } catch {
      return undefined
    }
  }

  /** A session's beacon is up. @returns whether that session is still the present one; otherwise the beacon is lowered */
  #light(id: string, raised: RaisedBeacon): boolean {
    if (id !== this.#id) {
      raised.lower()
      return false
    }
    this.#beacon = raised
    raised.moved?.then(async () => id === this.#id && (await this.beat())).catch(() => {})
    raised.lost.then((why) => id === this.#id && this.end(typeof why === 'string' ? why : 'its beacon went out'))
    return true
  }

  /** Which of these sessions are proved dead now. */
  async dead(rows: Iterable<SessionRow>): Promise<Set<string>> {
    const { store, expiry } = this.settings
    const dead = new Set<string>()
    const probe = async (row: SessionRow): Promise<void> => {
      if (row.id !== this.#id && (await isDead(store.beacon, row))) dead.add(row.id)
    }
    if (expiry === 'auto') await Promise.all(Array.from(rows, probe))
    return dead
  }

  /** Sends a command; rejects with `store` if it is not known to have been carried out. */
  send(command: Command): Promise<Reply> {
    return this.#outbox.send(command)
  }

  /** Reads from the store; rejects with `store` if it fails. @param waits whether for a waiter */
  async read<T>(from: (store: Store) => Promise<T>, waits = false): Promise<T> {
    const turn = this.clock.turn?.(this.clock.monotonic())
    if (turn) await turn
    try {
      return await this.#patience.answer(() => from(this.settings.store), waits)
    } catch (error) {
      throw storeError(error, 'the store failed to read')
    }
  }

  /** Resolves when the store has answered everything sent before, or those answers are no longer awaited. */
  async answered(): Promise<void> {
    // Earlier requests wait for the session too, and are sent before this goes on.
    await this.#opened?.catch(() => {})
    await this.#outbox.answered()
  }

  /** Resolves with true after `ms`, or with false as soon as the present session ends. */
  pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (stands: boolean): void => {
        this.#pauses.delete(end)
        callOff()
        resolve(stands)
      }
      const end = (): void => settle(false)
      const callOff = this.clock.after(ms, () => settle(true), true)
      this.#pauses.add(end)
    })
  }

  /** Sends a sign of life. */
  beat(options: Pick<Beat, 'opens' | 'others'> = {}): Promise<Reply> {
    const { duration, label } = this.settings
    return this.send({
      type: 'beat',
      session: this.#id,
      client: this.client,
      lease: leaseFor(duration),
      label,
      beacon: this.#beacon?.address,
      ...options,
    })
  }

  /** The session rows after this id, as a beat returns them. */
  async #rowsAfter(others: string): Promise<readonly SessionRow[]> {
    const { outcome } = await this.beat({ others })
    return outcome.type === 'beaten' ? outcome.stale : []
  }

  /** Locks stay correct without hints or proofs, only slower. */
  #degrade(why: string, cause?: unknown): void {
    this.#degraded = true
    this.#warnDegraded(why, cause)
  }

  #warnDegraded(why: string, cause?: unknown): void {
    this.warn({ type: 'degraded', names: [], error: new LockError('store', why, { cause }) })
  }

  /** The channel threw, although it must not. */
  #channelFailed(error: unknown): void {
    if (!this.#mute) this.#degrade('no hints: the channel fails', error)
    this.#mute = true
  }

  /** Subscribes to hints for this session. If the channel fails, there are still looks. */
  #listen(id: string): (() => void) | undefined {
    return this.#subscribe(id, (message) => this.#heard(message))
  }

  #subscribe(topic: string, listener: (message: Message) => void): (() => void) | undefined {
    try {
      return this.settings.store.channel?.subscribe(topic, listener)
    } catch (error) {
      this.#channelFailed(error)
      return undefined
    }
  }

  #hint(session: string, message: Message): void {
    try {
      if (session === this.#id) this.#heard(message)
      else this.settings.store.channel?.publish(session, message)
    } catch (error) {
      this.#channelFailed(error)
    }
  }

  /** A hint says that a record changed, and may name a grant of this session. */
  #heard({ key, number, token, previous, reserve, watch }: Message): void {
    if (typeof key !== 'string') return
    this.seen.tell({ type: 'hinted', key, session: this.#id, token: isWhole(token) ? token : undefined })
    const line = this.#lines.get(key)
    if (typeof watch === 'string') this.#watched(key, watch)
    else if (!line) return
    else if (isWhole(number) && isWhole(token) && isWhole(previous))
      line.hear({ number, token, previous, reserve: isWhole(reserve) ? reserve : undefined })
    else line.looks.poke()
  }

  /** Another session waits, on a topic, until a lock is free. */
  #watched(key: string, topic: string): void {
    const leases = this.#lines.get(key)?.leases
    if (leases?.any()) {
      this.#watchers.add(key, topic)
      leases.dropIdle()
    } else {
      // A release may be on its way to the store: once that has been answered, a look shows it.
      this.answered().then(() => this.#hint(topic, { key }))
    }
  }

  /** Whether anyone waits, outside the queue, until a lock of this session is free. */
  isWatched(key: string): boolean {
    return this.#watchers.has(key)
  }

  /** Subscribes to another topic until the session ends. @returns how to stop */
  hear(topic: string, listener: () => void): () => void {
    // A sleeping page may have to leave its channel closed.
    const stop = this.isAsleep ? undefined : this.#subscribe(topic, listener)
    return stop ? this.atEnd(stop) : () => {}
  }

  /** Stops something when the session ends. @returns how to stop it earlier */
  atEnd(stop: () => void): () => void {
    this.#atEnd.add(stop)
    return () => {
      if (this.#atEnd.delete(stop)) stop()
    }
  }

  /** Whether the context sleeps, as a page that was left. */
  get isAsleep(): boolean {
    return this.#awake !== undefined
  }

  /** Asks the holders of a lock to publish on a topic when it is free. */
  askWhenFree(key: string, holders: readonly Holder[], topic: string): void {
    for (const { session } of holders) this.#hint(session, { key, watch: topic })
  }

  /** Every reply comes here before its caller gets it, so that all others it concerns are notified, in this session and in others. */
  #arrived(reply: Reply, late?: Command): void {
    const { outcome } = reply
    // The caller was told that there is no answer, so the request is withdrawn, unless its grant became known in another way.
    if (late?.type === 'request' && !this.#lines.get(late.key)?.answers(late.number))
      this.letGo({ type: 'withdraw', key: late.key, session: late.session, number: late.number }, late.key)
    if (!('grants' in outcome)) return
    const { record, grants, evicted } = outcome
    const { key } = record
    this.#watchers.saw(record, this.#id)
    const line = this.#lines.get(key)
    for (const holder of grants) {
      const { session, number, token, previous, reserve } = holder
      if (session === this.#id) line?.granted(holder, record, reply)
      else {
        this.#hint(session, { key, number, token, previous, ...(reserve !== undefined && { reserve }) })
        this.seen.tell({ type: 'granted', key, session, number, token, own: false, confirmed: holder.unconfirmed === undefined, lingered: false })
      }
    }
    for (const { session, number, token } of evicted) {
      this.seen.tell({ type: 'evicted', key, session, token, reason: lossOf(record, token) })
      if (session === this.#id) line?.robbed(number, token, lossOf(record, token))
      else this.#hint(session, { key })
    }
  }

  /** A user's transaction has carried out a command of this session. */
  wrote(reply: Reply): void {
    this.#arrived(reply)
    const { outcome, sent, drift } = reply
    const row = outcome.type === 'renewed' && outcome.holder.seq === undefined ? outcome.record.sessions.get(this.#id) : undefined
    if (row) this.heart.beats.renewedWithin(row, sent, drift)
  }

  /** Whether a holder is a lease of this session's that only lingers. */
  isIdle(key: string, { session, token }: Holder): boolean {
    return session === this.#id && this.#lines.get(key)?.leases.isIdle(token) === true
  }

  /** A line waits for a lock that this session holds. @returns the error for one of its requests, if it is to be rejected */
  waitsForItself(line: Line): LockError | undefined {
    const others = [...this.#lines.values()].filter((each) => each !== line && each.waitsForItself(this.clock.monotonic()))
    return this.#deadlocks.found([line, ...others])
  }

  /** Looks at a record soon. */
  lookAt(key: string): void {
    this.#lines.get(key)?.looks.poke()
  }

  /** Sends all holders of a lock a hint to look at it. */
  hintAll({ key, holders }: LockRecord): void {
    for (const { session } of holders) this.#hint(session, { key })
  }

  /** Makes sure that a release or withdrawal reaches the store, as {@link Unsaid.letGo} does. */
  letGo(command: Release | Withdraw, name: string): Promise<void> {
    return this.#unsaid.letGo(command, name)
  }

  forget(lease: Lease): void {
    this.heart.leases.delete(lease)
    const line = this.#lines.get(lease.key)
    line?.leases.forget(lease)
    if (line) this.settle(line)
  }

  /**
   * Looks at the records that should name a hold of this session; holds that are missing there are lost. Rejects if the store fails.
   * @param which their keys, if it is known which ones the news concerns
   */
  async lookAtHolds(which?: readonly string[]): Promise<void> {
    const keys = new Set(which ?? [...this.heart.leases].map(({ key }) => key))
    await Promise.all([...keys].map((key) => this.#lines.get(key)?.looks.look()))
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
    if (asleep) {
      this.#awake ??= new Promise((resolve) => {
        this.#wake = resolve
      })
    } else {
      this.#wake()
      this.#awake = undefined
    }
    for (const line of this.#lines.values()) line.sleep(asleep)
  }

  /** The store says that others have ended this session. */
  givenUp(): void {
    this.#beacon?.doubt?.()
    this.end('it was given up as dead')
  }

  /** Ends this session: its holds are lost, and its requests are sent again under the next one, which starts with the next command. */
  end(why: string): void {
    this.#loseAll(why)
    this.#leave()
    for (const line of this.#lines.values()) if (!line.idle) line.looks.poke()
  }

  /**
   * Ends this session with its page, which may come back: the next one sleeps until then.
   * @param silently writes nothing, because this code may be stopped in the middle of a transaction: the lowered beacon proves the end
   */
  leave(silently = false): void {
    this.sleep(true)
    this.#loseAll('the page was left')
    this.#outbox.leaveUnsaid(this.#id)
    this.#leave(silently)
  }

  #loseAll(why: string): void {
    for (const lease of [...this.heart.leases]) lease.lose('ended', `its session ended: ${why}`)
  }

  /** Ends the last session. Resolves when everything is released, also if called again; or when its lease has ended, if the store does not answer. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = new LockError('closed', 'these locks were closed')
    this.#closed = closed
    for (const stop of this.#stopHearing) stop?.()
    const left: Promise<unknown>[] = [this.#unsaid.sayLast()]
    for (const line of this.#lines.values()) line.close(closed)
    for (const lease of [...this.heart.leases]) left.push(lease.release())
    const said = Promise.allSettled([...left, this.#leave()])
    await within<unknown>(this.clock, said, leaseFor(this.settings.duration), undefined, () => undefined)
    this.#patience.end()
    this.heart.stop()
  }

  /** Sends the session's end, in one batch with its releases; the next command opens a session with a new id. */
  #leave(silently = false): Promise<unknown> {
    const goodbye = this.#opened && !silently ? this.send({ type: 'end', session: this.#id }).catch(() => {}) : Promise.resolve()
    this.#outbox.flush()
    goodbye.then(() => this.#watchers.dismiss())
    this.#unsubscribe?.()
    for (const stop of this.#atEnd) stop()
    this.#atEnd.clear()
    this.#beacon?.lower()
    this.#beacon = this.#unsubscribe = this.#opened = undefined
    realms.delete(this.#id)
    this.#id = newId()
    for (const end of this.#pauses) end()
    return goodbye
  }
}
