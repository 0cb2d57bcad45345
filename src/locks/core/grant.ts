import { type Holder, lastTokenOf, type Mode } from '../../protocol/index.ts'
import { type End, lost } from './ends.ts'

/** The lease that the store keeps for a duration, in ms: a third longer, so that the holder always stops first (T2). */
export const leaseFor = (duration: number): number => Math.ceil((duration * 4) / 3)

/** What a client needs to know of a grant. */
export type Granted = Pick<Holder, 'session' | 'mode' | 'number' | 'token' | 'reserve' | 'previous' | 'seq'>

/** The beats of the session that has a grant. */
export interface Beats {
  /** When the last beat that succeeded went out, on the monotonic clock, in ms. */
  readonly renewedAt: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly renewedDrift: number
}

/**
 * What keeps a grant alive: the session's beats, renewals of its own, its owner's code alone, or the session that a worker has for this page.
 */
export type Keeper = 'session' | 'itself' | 'owner' | 'worker'

/**
 * Where a grant is in its life: confirming → held → (lingering) → over. The rules T1 to T9 are in docs/time.md.
 *
 * - `confirming`: in use, but the store has not confirmed yet that it stands, so it lasts until `until` at most (T1). `alone` if its owner asked for
 *   a longer lease meanwhile.
 * - `held`: in use, until its deadline (T1).
 * - `lingering`: not in use; the session keeps it, in case a caller wants the lock again (T7).
 * - `over`: released or lost, for good (T1).
 */
export type Life =
  | { readonly is: 'confirming'; readonly until: number; readonly alone: boolean }
  | { readonly is: 'held'; readonly by: Keeper }
  | { readonly is: 'lingering' }
  | { readonly is: 'over'; readonly end: End }

const held: { readonly [By in Keeper]: Life } = {
  session: { is: 'held', by: 'session' },
  itself: { is: 'held', by: 'itself' },
  owner: { is: 'held', by: 'owner' },
  worker: { is: 'held', by: 'worker' },
}
const lingering: Life = { is: 'lingering' }

export interface GrantTerms {
  readonly name: string
  readonly key: string
  /** In ms. */
  readonly duration: number
  /** When the command that gave the lock went out. */
  readonly since: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly drift: number
  /** Until when it may be used without being confirmed. */
  readonly until?: number | undefined
  /** How long it may be held at all, in ms. */
  readonly maxHold?: number | undefined
}

/** One grant's life, and the rules of its deadline. All times are in ms on its holder's monotonic clock. */
export class Grant {
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
  duration: number
  /** When the last command of its own that renewed it went out. */
  since: number
  /** By how much the wall clock was ahead of the monotonic one then. */
  drift: number
  /** When its last renewal of its own was tried. */
  triedAt: number
  /** When it ends, however often it is renewed. */
  capAt: number
  life: Life
  readonly startedAt: number
  /**
   * What keeps it alive once it is confirmed. If `undefined`: its own renewals if the record gives it a lease of its own, else the session's beats.
   */
  readonly keeper: Keeper | undefined
  readonly beats: Beats
  pinsSeenAt = -Infinity

  /**
   * @param keeper what keeps it alive; `undefined` leaves that to the record
   * @param beats of its session
   * @param now the present time of the monotonic clock, in ms
   */
  constructor(
    granted: Granted,
    { name, key, duration, since, drift, until, maxHold = Infinity }: GrantTerms,
    keeper: Keeper | undefined,
    beats: Beats,
    now: number,
  ) {
    this.name = name
    this.key = key
    this.mode = granted.mode
    this.session = granted.session
    this.number = granted.number
    this.token = this.usedToken = granted.token
    this.lastToken = lastTokenOf(granted)
    this.duration = duration
    this.since = since
    this.drift = drift
    this.startedAt = now
    this.capAt = now + maxHold
    this.triedAt = until === undefined ? since : -Infinity
    this.keeper = keeper
    this.beats = beats
    this.life = until === undefined ? this.#confirmed(granted.seq !== undefined) : { is: 'confirming', until, alone: false }
  }

  /** Whether it was released or lost. */
  get ended(): boolean {
    return this.life.is === 'over'
  }

  /** Whether the session's beats keep it: then it has no lease of its own. */
  get leans(): boolean {
    const { life } = this
    return life.is === 'lingering' || (life.is === 'held' && life.by === 'session')
  }

  /** Whether it has to be confirmed, or has a lease of its own to renew. */
  get renewsItself(): boolean {
    const { life } = this
    return life.is === 'confirming' || (life.is === 'held' && life.by === 'itself')
  }

  /** The pause between two renewals of its own, in ms. */
  get pace(): number {
    const { life } = this
    return (life.is === 'confirming' ? life.until - this.startedAt : this.duration) / 10
  }

  /** When to check for a pin, if only its owner's code renews it: a pinned lock is kept without that code. */
  get pinsAt(): number {
    const { life } = this
    return life.is === 'held' && life.by === 'owner' ? Math.max(this.deadline - 3 * this.pace, this.pinsSeenAt + this.pace) : Infinity
  }

  /** When the lock is lost unless it is renewed before. */
  get deadline(): number {
    return Math.min(this.renewedUntil, this.capAt)
  }

  /** The same without its `maxHold`: one duration after the last renewal that counts was sent (T1). */
  get renewedUntil(): number {
    const { life } = this
    return life.is === 'confirming' ? life.until : (this.leans ? Math.max(this.since, this.beats.renewedAt) : this.since) + this.duration
  }

  /** The last renewal that counts for it: when that was sent, and the drift of the clocks then. */
  get basis(): { readonly at: number; readonly drift: number } {
    const { renewedAt, renewedDrift } = this.beats
    return this.leans && renewedAt > this.since ? { at: renewedAt, drift: renewedDrift } : { at: this.since, drift: this.drift }
  }

  #confirmed(alone: boolean): Life {
    return held[this.keeper ?? (alone ? 'itself' : 'session')]
  }

  /** confirming → held (T1): a command of its own has renewed or confirmed it. @param seq its counter in the record, if it has a lease of its own */
  renewed(sent: number, drift: number, seq: number | undefined): void {
    const { life } = this
    if (life.is === 'confirming') this.life = this.#confirmed(life.alone || seq !== undefined)
    if (sent < this.since) return
    this.since = sent
    this.drift = drift
  }

  /** From now on it renews itself and no beat counts for it: the session's row does not keep a hold with a lease of its own. */
  standAlone(): void {
    const { life } = this
    if (life.is === 'confirming') this.life = { ...life, alone: true }
    else if (this.leans) {
      const { at, drift } = this.basis
      this.since = at
      this.drift = drift
      this.life = held.itself
    }
  }

  /** A check for pins was made. */
  sawPins(now: number): void {
    this.pinsSeenAt = now
  }

  /** held → lingering (T7): its last use is over, and no request waits for the lock. */
  linger(): void {
    this.capAt = Infinity
    this.life = lingering
  }

  /** lingering → held (T7): it is used once more. @returns the token of this use */
  use(capAt: number): number {
    this.capAt = capAt
    this.life = held.session
    return ++this.usedToken
  }

  /** Whether it may linger: beats keep it, and a token is reserved for another use. */
  get mayLinger(): boolean {
    return this.leans && this.usedToken < this.lastToken
  }

  /** Why it is over, if its deadline has passed, however late the caller notices (T2); else `undefined`. */
  lapse(now: number): End | undefined {
    if (this.ended || now < this.deadline) return undefined
    return lost('expired', now >= this.capAt ? 'it was held for its maxHold' : undefined)
  }

  /** → over (T1), for good: a late reply does not bring it back. @returns whether this call ended it */
  end(end: End): boolean {
    if (this.ended) return false
    this.life = { is: 'over', end }
    return true
  }
}
