import { type Holder, LockError, type LossReason, lastTokenOf, lossOf, type Mode, type Outcome, type Renew } from '../protocol/index.ts'
import { type Clock, driftOf } from './clock.ts'
import type { Home, Kept } from './home.ts'
import type { ReleaseListener } from './types.ts'
import { within } from './within.ts'

/** Of a duration, what stands in the store: a third more, so that the holder always stops first. In ms. */
export const leaseFor = (duration: number): number => Math.ceil((duration * 4) / 3)

export interface LeaseTerms {
  readonly name: string
  readonly key: string
  /** In ms. */
  readonly duration: number
  readonly manual: boolean
  /** When the command that gave the lock went out. */
  readonly since: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly drift: number
  /** Until when it may be used though it is not yet confirmed. */
  readonly until?: number | undefined
  /** How long it may be held at all, in ms. */
  readonly maxHold?: number | undefined
}

/** Why a lease or a hold is over: `lost` against its owner's will, `not-held` by it. */
export interface End {
  readonly code: 'lost' | 'not-held'
  readonly message: string
  readonly reason?: LossReason | undefined
}

const words: Readonly<Record<LossReason, string>> = {
  stolen: 'it was stolen',
  revoked: 'it was revoked',
  expired: 'it was not renewed in time',
  ended: 'its session or its record is gone',
}

export const lost = (name: string, reason: LossReason, why = words[reason]): End => ({
  code: 'lost',
  message: `lost ${JSON.stringify(name)}: ${why}`,
  reason,
})

export const released = (name: string): End => ({ code: 'not-held', message: `${JSON.stringify(name)} was released` })

/** What a lease needs to know of the grant that it is. */
export type Grant = Pick<Holder, 'session' | 'mode' | 'number' | 'token' | 'reserve' | 'previous' | 'seq'>

/** Who holds a lock by a lease, as the lease and those who keep it see it. */
export interface Holding {
  readonly name: string
  readonly token: number
  readonly onReleaseRequested: ReleaseListener | undefined
  /** The requests of which it was told. */
  heard: ReadonlySet<string> | undefined
  /** Whether a transaction that has checked it is open. */
  readonly isChecked: boolean
  /** Ends it without a word to the store. */
  end(end: End): void
  /** Another request took the lock, which ended it. */
  taken(): void
}

/** What a hold needs of its lease: this session's own, or one that a worker keeps. */
export type HoldLease = Pick<
  Lease,
  'name' | 'key' | 'mode' | 'session' | 'deadline' | 'hold' | 'clock' | 'stands' | 'expireIfDue' | 'renew' | 'renewWithin' | 'settle' | 'resume'
>

/** One grant of a lock, from the store's answer until it is let go or lost: what its session keeps alive. */
export class Lease implements Kept {
  readonly name: string
  readonly key: string
  readonly mode: Mode
  readonly session: string
  /** The request that it answers. */
  readonly number: number
  readonly token: number
  /** The token of its last use. */
  usedToken: number
  /** The last of the tokens reserved for its uses. */
  readonly lastToken: number
  /** Renewed by its owner's code alone. */
  readonly manual: boolean
  duration: number
  /** When the last command of its own that renewed it went out. */
  since: number
  /** When its last renewal of its own was tried. */
  triedAt: number
  /** Who holds the lock by it; nobody while it lingers. */
  hold: Holding | undefined
  /** When it ends, however often it is renewed. */
  capAt: number
  readonly #home: Home
  readonly #startedAt: number
  /** Whether it leans on the session's row instead of a lease of its own. */
  #leans: boolean
  /** Whether the record may have given it a lease of its own, whatever came of the command that asked for one. */
  #alone = false
  #drift: number
  #pinsSeenAt = -Infinity
  #until: number | undefined
  #end: End | undefined

  constructor(home: Home, grant: Grant, { name, key, duration, manual, since, drift, until, maxHold = Infinity }: LeaseTerms) {
    this.#home = home
    this.name = name
    this.key = key
    this.mode = grant.mode
    this.session = grant.session
    this.number = grant.number
    this.token = this.usedToken = grant.token
    this.lastToken = lastTokenOf(grant)
    this.manual = manual
    this.duration = duration
    this.since = since
    this.#startedAt = home.clock.monotonic()
    this.capAt = this.#startedAt + maxHold
    this.triedAt = until === undefined ? since : -Infinity
    this.#leans = grant.seq === undefined
    this.#drift = drift
    this.#until = until
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Whether it has been held since before a time. */
  heldSince(time: number): boolean {
    return this.hold !== undefined && this.#startedAt <= time
  }

  get leans(): boolean {
    return this.#leans
  }

  /** Whether it still has to be confirmed or has a lease of its own to renew. */
  get renewsItself(): boolean {
    return this.#until !== undefined || !(this.#leans || this.manual)
  }

  /** How often it renews itself, in ms. */
  get pace(): number {
    return (this.#until === undefined ? this.duration : this.#until - this.#startedAt) / 10
  }

  /** When it has to be seen whether a pin keeps it, which its owner's code need not renew then. */
  get pinsAt(): number {
    return this.manual && !this.renewsItself ? Math.max(this.deadline - 3 * this.pace, this.#pinsSeenAt + this.pace) : Infinity
  }

  /** When the lock is lost unless it is renewed before. */
  get deadline(): number {
    return Math.min(this.#renewedUntil, this.capAt)
  }

  get #renewedUntil(): number {
    return this.#until ?? (this.#leans ? Math.max(this.since, this.#home.heart.renewedAt) : this.since) + this.duration
  }

  /** When its heart has to see to it that it ends. While a transaction protects it, that is for the transaction's end to say. */
  get endsAt(): number {
    return this.hold?.isChecked ? Infinity : this.deadline
  }

  /** Whether it stands, as far as this context can know. */
  stands(now = this.#home.clock.monotonic()): boolean {
    const { heart } = this.#home
    if (now >= this.deadline) {
      this.expireIfDue(now)
      return false
    }
    if (this.#end) return false
    const byBeat = this.#leans && heart.renewedAt > this.since
    return heart.isSteady(now, byBeat ? heart.renewedAt : this.since, byBeat ? heart.renewedDrift : this.#drift, this.duration)
  }

  /** Renews or confirms. A refusal loses the lock; a store's error is thrown. */
  async renew(duration = this.duration): Promise<void> {
    this.triedAt = this.#home.clock.monotonic()
    // Only a longer lease needs saying: the record keeps what the lease has.
    const lease = duration > this.duration ? leaseFor(duration) : undefined
    if (lease !== undefined) this.#standAlone()
    const { outcome, sent, drift } = await this.#home.send({ ...this.#renew, lease })
    // A reply that comes after the deadline does not bring the lock back.
    this.expireIfDue()
    if (this.#end) return
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type === 'refused' && outcome.reason !== 'ended') return this.taken(lossOf(outcome.record, this.token))
    if (outcome.type !== 'renewed') return this.lose('ended')
    this.duration = Math.max(duration, this.duration)
    this.#renewed(outcome.holder, sent, drift)
    // One that renews itself alone hears of no wish by beats.
    const { queue, asked } = outcome.record
    if (this.hold?.onReleaseRequested && (asked || queue.some(({ ask }) => ask !== undefined))) this.#home.lookAt(this.key)
  }

  get #renew(): Renew {
    return { type: 'renew', key: this.key, session: this.session, token: this.token }
  }

  #renewed({ seq }: Holder, sent: number, drift: number): void {
    this.#until = undefined
    this.#leans = seq === undefined && !this.#alone
    if (sent >= this.since) {
      this.since = sent
      this.#drift = drift
    }
    // A lease that leans on its session from now on needs the beat.
    this.#home.heart.keep(this)
  }

  /**
   * Has a transaction of the user's renew it, if heartbeats had no chance to do that for two of them; one that is renewed by hand, only if it
   * would be lost else.
   * @returns what to write, and what to do when it is committed
   */
  renewWithin(): { readonly command: Renew; committed(outcome: Outcome): void } | undefined {
    const { clock } = this.#home
    const sent = clock.monotonic()
    const early = this.manual || this.#until !== undefined ? 0 : 0.8 * this.duration
    if (this.#end || sent < this.#renewedUntil - early) return undefined
    const drift = driftOf(clock)
    const committed = (outcome: Outcome): void => {
      this.#home.wrote({ outcome, sent, drift })
      if (outcome.type === 'renewed') this.#renewed(outcome.holder, sent, drift)
    }
    return { command: this.#renew, committed }
  }

  /** Past its deadline when the transaction that protected it ended: asks the store whether it still stands, once, for as long as it lasts at most. */
  async settle(): Promise<void> {
    const { clock } = this.#home
    if (this.#end || clock.monotonic() < this.deadline) return
    await within(clock, this.renew(), this.duration, undefined, () => undefined).catch(() => {})
  }

  get clock(): Clock {
    return this.#home.clock
  }

  /** Nothing protects it any more, and the store was asked if need be. */
  resume(): void {
    this.expireIfDue()
    if (!this.#end) this.#home.heart.keep(this)
  }

  /** Renews it if somebody has pinned the lock: nobody else can have it then, so it does not end. */
  async keepIfPinned(): Promise<void> {
    this.#pinsSeenAt = this.#home.clock.monotonic()
    const view = await this.#home.read((store) => store.read(this.key))
    if (view?.pins.length && !this.#end) await this.renew()
  }

  /** From now on no beat counts for it and it renews itself: one with a length of its own is not seen to live by its session's row. */
  #standAlone(): void {
    const { heart } = this.#home
    if (this.#leans && heart.renewedAt > this.since) {
      this.since = heart.renewedAt
      this.#drift = heart.renewedDrift
    }
    this.#leans = false
    this.#alone = true
    heart.keep(this)
  }

  /** Loses the lock if its deadline has passed, however late that is noticed. */
  expireIfDue(now = this.#home.clock.monotonic()): void {
    if (!this.#end && now >= this.endsAt) this.lose('expired', now >= this.capAt ? 'it was held for its maxHold' : undefined)
  }

  /** The record does not name it any more though it was still in time. */
  taken(how: LossReason): void {
    this.expireIfDue()
    if (this.#end) return
    const { hold } = this
    this.lose(how)
    hold?.taken()
  }

  /** Final: the hold's signal aborts, and the record is told in case it still names this lease. */
  lose(reason: LossReason, why?: string): void {
    if (this.#end) return
    this.#letGo(lost(this.name, reason, why)).catch(() => {})
  }

  /** Gives the lock back, once. Resolves when the store has carried that out, by whichever try; rejects if it cannot any more. */
  release(): Promise<void> {
    return this.#end ? Promise.resolve() : this.#letGo(released(this.name))
  }

  #letGo(end: End): Promise<void> {
    this.#end = end
    this.#home.forget(this)
    this.hold?.end(end)
    return this.#home.letGo({ type: 'release', key: this.key, session: this.session, token: this.token }, this.name)
  }
}
