import { LockError, type LossReason, lossOf, type Outcome, type Renew } from '../protocol/index.ts'
import { type Clock, driftOf } from './clock.ts'
import { type End, lost, released } from './core/ends.ts'
import { Grant, type Granted, type GrantTerms, leaseFor } from './core/grant.ts'
import type { Home, Kept } from './home.ts'
import type { ReleaseListener } from './types.ts'
import { within } from './within.ts'

export interface LeaseTerms extends GrantTerms {
  /** Renewed by its owner's code alone. */
  readonly manual: boolean
}

/** The hold that uses a lease, as seen by the lease. */
export interface Holding {
  readonly name: string
  readonly token: number
  readonly onReleaseRequested: ReleaseListener | undefined
  /** The requests that its listener was told of. */
  heard: ReadonlySet<string> | undefined
  /** Whether a transaction that has checked it is open. */
  readonly isChecked: boolean
  /** Ends it without telling the store. */
  end(end: End): void
  /** Another request took the lock, which ended it. */
  taken(): void
}

/** What a hold needs of its lease: this session's own, or one that a worker keeps. */
export type HoldLease = Pick<
  Lease,
  'name' | 'key' | 'mode' | 'session' | 'deadline' | 'hold' | 'clock' | 'stands' | 'expireIfDue' | 'renew' | 'renewWithin' | 'settle' | 'resume'
>

/** A grant that this session keeps alive, from the store's answer until it is released or lost: renews it, and tells its hold when it ends. */
export class Lease extends Grant implements Kept {
  /** The hold that uses it; `undefined` while it lingers. */
  hold: Holding | undefined
  readonly #home: Home

  constructor(home: Home, granted: Granted, terms: LeaseTerms) {
    super(granted, terms, terms.manual ? 'owner' : undefined, home.heart.beats, home.clock.monotonic())
    this.#home = home
  }

  /** When the heart has to end it. While a transaction protects it, the end of the transaction decides that. */
  get endsAt(): number {
    return this.hold?.isChecked ? Infinity : this.deadline
  }

  /** Whether it stands, as far as this context can know. */
  stands(now = this.#home.clock.monotonic()): boolean {
    if (now >= this.deadline) {
      this.expireIfDue(now)
      return false
    }
    if (this.ended) return false
    const { at, drift } = this.basis
    return this.#home.heart.isSteady(now, at, drift, this.duration)
  }

  /** Renews or confirms. A refusal loses the lock; a store's error is thrown. */
  async renew(duration = this.duration): Promise<void> {
    this.triedAt = this.#home.clock.monotonic()
    // Only a longer lease has to be sent: the record keeps the length that the lease has.
    const lease = duration > this.duration ? leaseFor(duration) : undefined
    if (lease !== undefined) this.#standAlone()
    const { outcome, sent, drift } = await this.#home.send({ ...this.#renew, lease })
    // A reply that comes after the deadline does not bring the lock back.
    this.expireIfDue()
    if (this.ended) return
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type === 'refused' && outcome.reason !== 'ended') return this.taken(lossOf(outcome.record, this.token))
    if (outcome.type !== 'renewed') return this.lose('ended')
    this.duration = Math.max(duration, this.duration)
    this.#renewed(outcome.holder.seq, sent, drift)
    // A session whose leases all renew themselves sends no beats, so it learns of asks here.
    const { queue, asked } = outcome.record
    if (this.hold?.onReleaseRequested && (asked || queue.some(({ ask }) => ask !== undefined))) this.#home.lookAt(this.key)
  }

  get #renew(): Renew {
    return { type: 'renew', key: this.key, session: this.session, token: this.token }
  }

  #renewed(seq: number | undefined, sent: number, drift: number): void {
    this.#sawRenewal()
    this.renewed(sent, drift, seq)
    // A lease that leans on its session from now on needs the beat.
    this.#home.heart.keep(this)
  }

  #sawRenewal(): void {
    const { key, session, token } = this
    const { seen } = this.#home
    if (this.life.is === 'confirming') seen.tell({ type: 'confirmed', key, session, token })
    else seen.tell({ type: 'renewed', keys: [key], session })
  }

  #standAlone(): void {
    this.standAlone()
    this.#home.heart.keep(this)
  }

  /**
   * Lets a user's transaction renew it, if its last renewal is two heartbeats old. A lease that is renewed by hand or not yet confirmed is only
   * renewed if it would be lost otherwise.
   * @returns what to write, and what to do when it is committed
   */
  renewWithin(): { readonly command: Renew; committed(outcome: Outcome): void } | undefined {
    const { life } = this
    const { clock } = this.#home
    const sent = clock.monotonic()
    const early = life.is === 'held' && life.by !== 'owner' ? 0.8 * this.duration : 0
    if (this.ended || sent < this.renewedUntil - early) return undefined
    const drift = driftOf(clock)
    const committed = (outcome: Outcome): void => {
      this.#home.wrote({ outcome, sent, drift })
      if (outcome.type === 'renewed' && !this.ended) this.#renewed(outcome.holder.seq, sent, drift)
    }
    return { command: this.#renew, committed }
  }

  /**
   * If its deadline has passed when a transaction that protected it ends: asks the store once whether it still stands, and waits for a duration at
   * most.
   */
  async settle(): Promise<void> {
    const { clock } = this.#home
    if (this.ended || clock.monotonic() < this.deadline) return
    await within(clock, this.renew(), this.duration, undefined, () => undefined).catch(() => {})
  }

  get clock(): Clock {
    return this.#home.clock
  }

  /** No transaction protects it any more, and the store was asked if necessary. */
  resume(): void {
    this.expireIfDue()
    if (!this.ended) this.#home.heart.keep(this)
  }

  /** Renews it if the lock is pinned: it does not end then, since no other session can get a pinned lock. */
  async keepIfPinned(): Promise<void> {
    this.sawPins(this.#home.clock.monotonic())
    const view = await this.#home.read((store) => store.read(this.key))
    if (view?.pins.length && !this.ended) await this.renew()
  }

  /** Loses the lock if its deadline has passed, however late that is noticed. */
  expireIfDue(now = this.#home.clock.monotonic()): void {
    const end = this.hold?.isChecked ? undefined : this.lapse(now)
    if (end) this.#over(end)
  }

  /** The record no longer names it, although its deadline had not passed. */
  taken(how: LossReason): void {
    this.expireIfDue()
    if (this.ended) return
    const { hold } = this
    this.lose(how)
    hold?.taken()
  }

  /** Loses the lock for good: the hold's signal aborts, and the store is told in case the record still names this lease. */
  lose(reason: LossReason, why?: string): void {
    this.#over(lost(reason, why))
  }

  /** Releases the lock, once. Resolves when the store has carried that out, by any try; rejects if that has become impossible. */
  release(): Promise<void> {
    const gone = this.#over(released)
    return gone ?? Promise.resolve()
  }

  #sawEnd({ reason }: End): void {
    const { key, session, usedToken: token } = this
    const { seen } = this.#home
    if (!seen.wants(reason === undefined ? 'released' : 'lost')) return
    if (reason === undefined) seen.tell({ type: 'released', key, session, token, lingers: false })
    else seen.tell({ type: 'lost', key, session, token, reason })
  }

  /**
   * @returns resolves when the store knows; `undefined` if it was over before. A caller that does not wait for that learns of a failure by a warning.
   */
  #over(end: End): Promise<void> | undefined {
    if (!this.end(end)) return undefined
    this.#home.forget(this)
    this.hold?.end(end)
    this.#sawEnd(end)
    return this.#home.letGo(this, this.name)
  }
}
