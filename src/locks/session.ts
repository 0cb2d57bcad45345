import { type Command, LockError, type Policy, type SessionRow, storeError } from '../protocol/index.ts'
import type { RaisedBeacon, Store } from '../store.ts'
import type { Clock } from './clock.ts'
import { type Hold, leaseFor } from './hold.ts'
import { Line } from './line.ts'
import { Observer } from './observer.ts'
import { Outbox, type Reply } from './outbox.ts'
import type { LockWarning } from './types.ts'

/** What `createLocks` was told, checked and complete. */
export interface Settings {
  readonly store: Store
  readonly clock: Clock
  /** In ms. */
  readonly duration: number
  /** In ms. */
  readonly maxBackoff: number
  readonly label: string | undefined
  readonly namespace: string
  readonly policy: Policy
  readonly expiry: 'auto' | 'manual'
  readonly onWarning: (warning: LockWarning) => void
}

/** Random and short: it stands in every record that names it. Never reused. */
const newId = (): string => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte % 36).toString(36)).join('')

/** How long an abandoned session's row stays at least, in ms. */
const burial = 120_000
/** Beats under way at once, at most: a store that hangs gets a few chances and no flood. */
const maxBeats = 3
/** How far the wall clock may part from the monotonic one before a holder doubts, as a share of the duration. */
const steadiness = 0.05

/** One context's presence in a store: its holds, its waits, and the heartbeat that keeps them. */
export class Session {
  readonly settings: Settings
  readonly clock: Clock
  readonly client: string = newId()
  /** When the last beat that succeeded went out. */
  renewedAt = -Infinity
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  renewedDrift = 0
  readonly #outbox: Outbox
  readonly #holds = new Set<Hold>()
  readonly #lines = new Map<string, Line>()
  readonly #abandoned = new Observer()
  #id = newId()
  #opened: Promise<void> | undefined
  #beacon: RaisedBeacon | undefined
  #unsubscribe: (() => void) | undefined
  #evictions = 0
  #beats = 0
  #failing = false
  #nextBeat = Infinity
  #wakeAt = Infinity
  #callOff: (() => void) | undefined
  /** When the timer was last found to be late, as after a sleep. */
  #lateAt = -Infinity
  /** Releases and withdrawals that must reach the store and have not, with the names of their locks: tried again and again. */
  readonly #unsaid = new Map<Command, string>()
  /** Since when there are such. */
  #unsaidSince = 0
  #closed: LockError | undefined

  constructor(settings: Settings) {
    this.settings = settings
    this.clock = settings.clock
    this.#outbox = new Outbox(settings.store, this.clock, (reply) => this.#arrived(reply))
  }

  get id(): string {
    return this.#id
  }

  get policy(): Policy {
    return this.settings.policy
  }

  /** This session's place in the queue for a key. */
  line(key: string, name: string): Line {
    this.assertOpen()
    const line = this.#lines.get(key) ?? new Line(this, key, name)
    this.#lines.set(key, line)
    return line
  }

  assertOpen(): void {
    if (this.#closed) throw this.#closed
  }

  /** Makes the session known to the store, once: its beacon first, then its row. */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #open(): Promise<void> {
    const { channel, beacon } = this.settings.store
    const id = this.#id
    if (beacon) {
      const raised = await beacon.raise(id)
      if (id !== this.#id) {
        raised.lower()
        return this.#open()
      }
      this.#beacon = raised
      raised.lost.then(() => id === this.#id && this.end('its beacon went out'))
    }
    this.#unsubscribe = channel?.subscribe(id, ({ key }) => this.#lines.get(String(key))?.poke())
    const { outcome, sent, drift } = await this.send(this.#beatCommand(true))
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type === 'beaten') this.#evictions = outcome.session.evictions
    this.#renewed(sent, drift)
  }

  send(command: Command): Promise<Reply> {
    return this.#outbox.send(command).catch((error) => {
      throw storeError(error, `the store failed to ${command.type}`)
    })
  }

  /** Every outcome passes here, before who asked hears of it: those whom it concerns are told. */
  #arrived(reply: Reply): void {
    const { outcome } = reply
    if (!('grants' in outcome)) return
    const { record, grants, evicted } = outcome
    const line = this.#lines.get(record.key)
    for (const holder of grants) {
      if (holder.session === this.#id) line?.granted(holder, reply)
      else this.#hint(holder.session, record.key)
    }
    for (const holder of evicted) {
      if (holder.session === this.#id) line?.robbed(holder.token)
      else this.#hint(holder.session, record.key)
    }
  }

  #hint(session: string, key: string): void {
    this.settings.store.channel?.publish(session, { key })
  }

  /** Sees to it that a release or withdrawal reaches the store; rejects if the first try fails. */
  async letGo(command: Command, name: string): Promise<void> {
    try {
      await this.send(command)
    } catch (error) {
      if (this.#closed) throw error
      const now = this.clock.monotonic()
      if (!this.#unsaid.size) this.#unsaidSince = now
      this.#unsaid.set(command, name)
      this.#schedule(now + this.settings.duration / 10)
      this.#warn({ type: 'release', names: [name], error: error as LockError })
      throw error
    }
  }

  /** Starts to keep a hold: its deadline, and its renewals. */
  keep(hold: Hold): void {
    this.#holds.add(hold)
    const now = this.clock.monotonic()
    if (this.#nextBeat === Infinity) this.#nextBeat = now + this.settings.duration / 10
    this.#schedule(this.#due(hold))
  }

  forget(hold: Hold): void {
    this.#holds.delete(hold)
    this.#lines.get(hold.key)?.holds.delete(hold)
  }

  #renewed(sent: number, drift: number): void {
    if (sent < this.renewedAt) return
    this.renewedAt = sent
    this.renewedDrift = drift
  }

  /**
   * False where a sleep may have stopped the monotonic clock since a renewal, until the next one shows that nothing was lost.
   * @param renewedAt when that renewal went out, and `drift` by how much the wall clock was ahead of the monotonic one then
   */
  isSteady(now: number, renewedAt: number, drift: number, duration: number): boolean {
    this.#noteLateness(now)
    if (this.#lateAt < renewedAt && !this.settings.store.spansMachines) return true
    return Math.abs(this.clock.now() - now - drift) <= duration * steadiness
  }

  #noteLateness(now: number): void {
    if (now > this.#wakeAt + this.settings.duration * steadiness) this.#lateAt = now
  }

  /** When a hold next needs something: a renewal of its own, the session's beat, or the end. */
  #due(hold: Hold): number {
    const renewal = hold.renewsItself ? hold.triedAt + hold.pace : hold.leans ? this.#nextBeat : Infinity
    return Math.min(renewal, hold.deadline)
  }

  #schedule(at: number): void {
    if (at >= this.#wakeAt) return
    this.#callOff?.()
    this.#wakeAt = at
    this.#callOff = this.clock.after(Math.max(0, at - this.clock.monotonic()), () => this.#tick(), true)
  }

  /** The session's one timer: deadlines first, then renewals. */
  #tick(): void {
    const now = this.clock.monotonic()
    this.#noteLateness(now)
    this.#wakeAt = Infinity
    for (const hold of [...this.#holds]) hold.expireIfDue()
    const holds = [...this.#holds]
    if (now >= this.#nextBeat) {
      const needed = holds.some((hold) => hold.leans)
      this.#nextBeat = needed ? now + this.settings.duration / 10 : Infinity
      if (needed) this.#beat()
    }
    for (const hold of holds) if (hold.renewsItself && now >= hold.triedAt + hold.pace) this.#try(hold.renewNow(), hold)
    this.#sayAgain(now)
    let next = this.#unsaid.size ? now + this.settings.duration / 10 : Infinity
    for (const hold of this.#holds) next = Math.min(next, this.#due(hold))
    if (next < Infinity) this.#schedule(next)
  }

  #sayAgain(now: number): void {
    if (!this.#unsaid.size) return
    if (!this.#holds.size && now - this.#unsaidSince > leaseFor(this.settings.duration)) {
      // Under a session that beats no more, all that could not be taken back lapses by itself.
      this.#unsaid.clear()
      this.end('its store failed for too long')
    }
    for (const command of this.#unsaid.keys()) {
      this.send(command).then(
        () => this.#unsaid.delete(command),
        () => {},
      )
    }
  }

  /** Confirms a grant in the background; the timer tries again what fails. */
  confirm(hold: Hold): void {
    this.#try(hold.renewNow(), hold)
  }

  #try(renewal: Promise<void>, ...holds: Hold[]): void {
    renewal.then(
      () => {
        this.#failing = false
      },
      (error) => {
        const held = holds.filter((hold) => this.#holds.has(hold))
        if (this.#failing || !held.length) return
        this.#failing = true
        const deadline = Math.min(...held.map((hold) => hold.deadline))
        this.#warn({ type: 'renewal', names: held.map(({ name }) => name), error, deadline })
      },
    )
  }

  /** Answers a challenge: someone without a proof wants to know whether this session lives. */
  answer(): void {
    this.send(this.#beatCommand(false)).catch(() => {})
  }

  #beatCommand(opens: boolean): Command {
    const { duration, label } = this.settings
    return { type: 'beat', session: this.#id, client: this.client, lease: leaseFor(duration), label, beacon: this.#beacon?.address, opens }
  }

  #beat(): void {
    if (this.#beats >= maxBeats) return
    this.#beats++
    const beat = this.#beatOnce().finally(() => this.#beats--)
    this.#try(beat, ...[...this.#holds].filter((hold) => hold.leans))
  }

  async #beatOnce(): Promise<void> {
    const id = this.#id
    const { outcome, sent, drift } = await this.send(this.#beatCommand(false))
    if (id !== this.#id) return
    // A reply that comes after a deadline does not bring that lock back.
    for (const hold of [...this.#holds]) hold.expireIfDue()
    if (outcome.type === 'ended') return this.end('it was given up as dead')
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type !== 'beaten') return
    const { evictions } = outcome.session
    if (evictions !== this.#evictions) {
      // Someone took a hold of ours. Until it is known which, this beat renews none.
      await Promise.all([...new Set([...this.#holds].map(({ key }) => key))].map((key) => this.#lines.get(key)?.look()))
      this.#evictions = evictions
    }
    this.#renewed(sent, drift)
    for (const row of outcome.stale) if (row.id !== this.#id) this.#observeAbandoned(row, sent)
    this.#abandoned.keep(new Set(outcome.stale.map(({ id }) => id)))
  }

  /** Clears away the row of a session that is gone: it does not answer a challenge for far longer than any hold of it could last. */
  #observeAbandoned({ id: session, seq, lease, challenged }: SessionRow, sent: number): void {
    const answering = challenged === seq
    const silent = this.#abandoned.look(session, `${seq} ${answering}`, sent, this.clock.monotonic(), this.settings.duration / 8)
    const command: Command | undefined = !answering
      ? { type: 'challenge', session }
      : silent > Math.max(4 * lease, burial)
        ? { type: 'end', session, seq }
        : undefined
    if (command) this.send(command).catch(() => {})
  }

  #warn(warning: LockWarning): void {
    try {
      this.settings.onWarning(warning)
    } catch (error) {
      // A broken listener must not break the heartbeat that it listens to.
      console.error(error)
    }
  }

  /** Gives this session up: its holds are lost, its waits are asked again under the next one, which starts with the next command. */
  end(why: string): void {
    for (const hold of [...this.#holds]) hold.lose(`its session ended: ${why}`)
    this.#leave()
    for (const line of this.#lines.values()) line.poke()
  }

  /** Ends the last session. Everything is let go of before this resolves. */
  async close(): Promise<void> {
    if (this.#closed) return
    const closed = new LockError('closed', 'these locks were closed')
    this.#closed = closed
    const left = [...this.#unsaid].map(([command, name]) => this.letGo(command, name))
    for (const line of this.#lines.values()) line.close(closed)
    for (const hold of [...this.#holds]) left.push(hold.release())
    await Promise.allSettled([...left, this.#leave()])
    this.#callOff?.()
  }

  /** Says goodbye, in one batch with what was let go; the next command opens a session with a new id. */
  #leave(): Promise<unknown> {
    const goodbye = this.#opened ? this.send({ type: 'end', session: this.#id }).catch(() => {}) : Promise.resolve()
    this.#outbox.flush()
    this.#unsubscribe?.()
    this.#beacon?.lower()
    this.#beacon = this.#unsubscribe = this.#opened = undefined
    this.#id = newId()
    return goodbye
  }

  /** Waiters are withdrawn while a page is frozen, since it cannot answer; they ask again when it resumes. */
  sleep(asleep: boolean): void {
    for (const line of this.#lines.values()) line.sleep(asleep)
  }
}
