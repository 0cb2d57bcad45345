import { checkDuration, type Holder, LockError, type Mode } from '../protocol/index.ts'
import type { Session } from './session.ts'
import type { HeldLock, ReleaseListener } from './types.ts'

/** On engines without `await using` the symbol is missing, and nobody asks for it. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** Of a duration, what stands in the store: a third more, so that the holder always stops first. In ms. */
export const leaseFor = (duration: number): number => Math.ceil((duration * 4) / 3)

export interface HoldTerms {
  readonly name: string
  readonly key: string
  readonly dirty: boolean
  /** In ms. */
  readonly duration: number
  readonly manual: boolean
  readonly onReleaseRequested: ReleaseListener | undefined
  /** When the command that gave the lock went out. */
  readonly since: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly drift: number
  /** Until when it may be used though it is not yet confirmed. */
  readonly until?: number | undefined
}

export class Hold implements HeldLock {
  readonly name: string
  readonly key: string
  readonly mode: Mode
  readonly token: number
  readonly previous: number
  readonly dirty: boolean
  readonly session: string
  /** The request that it answers. */
  readonly number: number
  /** Renewed by its owner's code alone. */
  readonly manual: boolean
  readonly #startedAt: number
  duration: number
  /** When the last command of its own that renewed it went out. */
  since: number
  /** When its last renewal of its own was tried. */
  triedAt: number
  /** Called if another request takes the lock while it is still good. */
  onTaken: ((error: LockError) => void) | undefined
  /** Called once for each request that asks for the lock. */
  readonly onReleaseRequested: ReleaseListener | undefined
  /** The requests of which it was told. */
  heard: ReadonlySet<string> = new Set()
  readonly #home: Session
  /** Whether it leans on the session's row instead of a lease of its own. */
  #leans: boolean
  /** Whether the record may have given it a lease of its own, whatever came of the command that asked for one. */
  #alone = false
  #drift: number
  #until: number | undefined
  #end: { readonly code: 'lost' | 'not-held'; readonly message: string } | undefined
  #error: LockError | undefined
  #abort: AbortController | undefined
  #released: Promise<void> | undefined

  constructor(home: Session, holder: Holder, { name, key, dirty, duration, manual, onReleaseRequested, since, drift, until }: HoldTerms) {
    this.#home = home
    this.name = name
    this.key = key
    this.mode = holder.mode
    this.token = holder.token
    this.previous = holder.previous
    this.dirty = dirty
    this.session = holder.session
    this.number = holder.number
    this.manual = manual
    this.onReleaseRequested = onReleaseRequested
    this.duration = duration
    this.since = since
    this.#startedAt = home.clock.monotonic()
    this.triedAt = until === undefined ? since : -Infinity
    this.#leans = holder.seq === undefined
    this.#drift = drift
    this.#until = until
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Why it is not held any more; `undefined` while it is. Made when first asked for: most holds end unremarked. */
  get error(): LockError | undefined {
    if (this.#end) this.#error ??= new LockError(this.#end.code, this.#end.message)
    return this.#error
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

  /** When the lock is lost unless it is renewed before. */
  get deadline(): number {
    return this.#until ?? (this.#leans ? Math.max(this.since, this.#home.heart.renewedAt) : this.since) + this.duration
  }

  get signal(): AbortSignal {
    this.expireIfDue()
    if (!this.#abort) {
      this.#abort = new AbortController()
      if (this.#end) this.#abort.abort(this.error)
    }
    return this.#abort.signal
  }

  isHeld(): boolean {
    const home = this.#home
    const now = home.clock.monotonic()
    this.expireIfDue(now)
    if (this.#end) return false
    const byBeat = this.#leans && home.heart.renewedAt > this.since
    return home.heart.isSteady(now, byBeat ? home.heart.renewedAt : this.since, byBeat ? home.heart.renewedDrift : this.#drift, this.duration)
  }

  assertHeld(): void {
    if (this.isHeld()) return
    throw this.error ?? new LockError('lost', `the clock jumped: whether ${JSON.stringify(this.name)} is still held is being checked`)
  }

  async renew(duration?: number): Promise<void> {
    if (duration !== undefined) checkDuration(this.#home.policy, duration)
    this.expireIfDue()
    if (this.#end) throw this.error
    await this.renewNow(duration)
    if (this.#end) throw this.error
  }

  /** Renews or confirms. A refusal loses the lock; a store's error is thrown. */
  async renewNow(duration = this.duration): Promise<void> {
    this.triedAt = this.#home.clock.monotonic()
    // Only a longer lease needs saying: the record keeps what the hold has.
    const lease = duration > this.duration ? leaseFor(duration) : undefined
    if (lease !== undefined) this.#standAlone()
    const { outcome, sent, drift } = await this.#home.send({ type: 'renew', key: this.key, session: this.session, token: this.token, lease })
    // A reply that comes after the deadline does not bring the lock back.
    this.expireIfDue()
    if (this.#end) return
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type !== 'renewed') return outcome.type === 'refused' && outcome.reason === 'ended' ? this.lose('its session ended') : this.taken()
    this.#until = undefined
    this.#leans = outcome.holder.seq === undefined && !this.#alone
    this.duration = Math.max(duration, this.duration)
    if (sent >= this.since) {
      this.since = sent
      this.#drift = drift
    }
    // One that renews itself alone hears of no wish by beats.
    if (this.onReleaseRequested && outcome.record.queue.some(({ ask }) => ask !== undefined)) this.#home.lookAt(this.key)
    // A hold that leans on its session from now on needs the beat.
    this.#home.heart.keep(this)
  }

  /** From now on no beat counts for it and it renews itself: a hold with a lease of its own is not seen to live by its session's row. */
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
    if (!this.#end && now >= this.deadline) this.lose('it was not renewed in time')
  }

  /** The record names another holder though this one was still in time: it was stolen or revoked. */
  taken(): void {
    this.expireIfDue()
    if (this.#end) return
    this.lose('another request took it')
    if (this.error) this.onTaken?.(this.error)
  }

  /** Final: the signal aborts, and the record is told in case it still names this hold. */
  lose(why: string): void {
    if (this.#end) return
    this.#finish('lost', `lost ${JSON.stringify(this.name)}: ${why}`)
    this.#letGo().catch(() => {})
  }

  release(): Promise<void> {
    this.expireIfDue()
    if (!this.#end) {
      this.#finish('not-held', `${JSON.stringify(this.name)} was released`)
      this.#released = this.#letGo()
    }
    return this.#released ?? Promise.resolve()
  }

  [asyncDispose](): Promise<void> {
    return this.release().catch(() => {})
  }

  /** Ends it without a word to the store. */
  #finish(code: 'lost' | 'not-held', message: string): void {
    this.#end = { code, message }
    this.#home.forget(this)
    this.#abort?.abort(this.error)
  }

  #letGo(): Promise<void> {
    return this.#home.letGo({ type: 'release', key: this.key, session: this.session, token: this.token }, this.name)
  }
}
