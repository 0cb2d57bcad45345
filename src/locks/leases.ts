import type { LockView, Policy } from '../protocol/index.ts'
import { tellAsked } from './asks.ts'
import type { Granted } from './core/grant.ts'
import { Hold } from './hold.ts'
import type { Home } from './home.ts'
import { Lease, type LeaseTerms } from './lease.ts'
import { Linger, reserveFor } from './linger.ts'
import type { Past } from './past.ts'
import { isPlain, type Wish } from './wish.ts'

/** This session's leases of one key, and what it remembers of those that are over. */
export class Leases {
  /** Whether another session had the lock since `clearDirty` of the re-entrant lock was last called. */
  dirty: boolean
  readonly #session: Home
  readonly #leases: Map<Lease, number>
  readonly #linger: Linger
  readonly #isWanted: () => boolean
  /** The last token that this context used for the key, and the last that was reserved with it; 0 before the first. */
  #lastUsed: number
  #lastToken: number
  /** How many tokens the next grant should reserve, in case its lease lingers. */
  reserve = reserveFor(0)

  /**
   * @param leases those that stand, each with the number of looks that had begun before it was known
   * @param past what earlier leases of the key left behind
   * @param isWanted whether a request waits for the lock, as far as is known here
   */
  constructor(session: Home, leases: Map<Lease, number>, past: Past | undefined, isWanted: () => boolean) {
    this.#lastUsed = past?.lastUsed ?? 0
    this.#lastToken = past?.lastToken ?? 0
    this.dirty = past?.dirty ?? false
    this.#session = session
    this.#leases = leases
    this.#linger = new Linger(session)
    this.#isWanted = isWanted
  }

  /** What they leave for later leases of the key; `undefined` if there has been no lease. */
  get past(): Past | undefined {
    if (!this.#lastToken) return undefined
    return { lastUsed: this.#lastUsed, lastToken: this.#lastToken, dirty: this.dirty }
  }

  get policy(): Policy {
    return this.#session.settings.policy
  }

  /**
   * A request was granted.
   * @param looks how many looks have begun
   * @returns `undefined` if the news came so late that the lock may have expired: then it is useless
   */
  start(grant: Granted, wish: Wish, terms: LeaseTerms, looks: number): Hold | undefined {
    const { clock, heart } = this.#session
    const dirty = grant.previous !== 0 && grant.previous !== this.#lastToken
    const previous = dirty ? grant.previous : this.#lastUsed
    if (dirty) this.dirty = true
    const lease = new Lease(this.#session, grant, terms)
    this.#lastUsed = lease.token
    this.#lastToken = lease.lastToken
    this.#leases.set(lease, looks)
    heart.keep(lease)
    lease.expireIfDue()
    // Beats that were sent before this session knew of the lease do not renew it: it may have been evicted before them.
    if (terms.until === undefined && clock.monotonic() >= terms.since + terms.duration) lease.lose('expired', 'the news of it came too late')
    if (lease.ended) return undefined
    this.#saw(lease, lease.token, terms.until === undefined, false)
    return new Hold(this, lease, { token: lease.token, previous, dirty, onReleaseRequested: wish.onReleaseRequested })
  }

  /** Uses a lingering lease again. A lease that does not suit the wish is released, since it would block the request. */
  useAgain(wish: Wish, now: number): Hold | undefined {
    if (!isPlain(wish)) this.#linger.drop()
    const lease = this.#linger.take(now)
    if (!lease) return undefined
    const token = lease.use(now + (wish.maxHold ?? Infinity))
    if (wish.maxHold !== undefined) this.#session.heart.keep(lease)
    const previous = this.#lastUsed
    this.#lastUsed = token
    this.#saw(lease, token, true, true)
    return new Hold(this, lease, { token, previous, dirty: false, onReleaseRequested: wish.onReleaseRequested })
  }

  #saw({ key, session, number }: Lease, token: number, confirmed: boolean, lingered: boolean): void {
    const { seen } = this.#session
    if (seen.wants('granted')) seen.tell({ type: 'granted', key, session, number, token, own: true, confirmed, lingered })
  }

  /** A hold was released: its lease lingers if it may, else it is released. */
  retire(lease: Lease, now: number): Promise<void> {
    if (!lease.mayLinger || this.#isWanted() || !this.#session.lingers || !lease.stands(now)) return lease.release()
    this.#linger.keep(lease, now)
    const { seen } = this.#session
    if (seen.wants('released')) seen.tell({ type: 'released', key: lease.key, session: lease.session, token: lease.usedToken, lingers: true })
    return Promise.resolve()
  }

  /** Releases a lease that only lingers. */
  dropIdle(): Promise<void> {
    return this.#linger.drop()
  }

  /** Whether the lease of this grant only lingers. */
  isIdle(token: number): boolean {
    return this.#linger.has(token)
  }

  /** Whether there is any lease. */
  any(): boolean {
    return this.#leases.size > 0
  }

  /** Notifies the holds in use of requests that ask for the lock. */
  tell(view: LockView): void {
    for (const { hold } of this.#leases.keys()) if (hold) tellAsked(hold, view, (listener) => this.#session.call(listener))
  }

  /** A lease has ended. */
  forget(lease: Lease): void {
    this.#leases.delete(lease)
    this.reserve = reserveFor(lease.usedToken - lease.token)
    this.#linger.forget(lease)
  }
}
