import { type Clock, driftOf } from '../locks/clock.ts'
import { type End, lost, released } from '../locks/core/ends.ts'
import { Grant } from '../locks/core/grant.ts'
import type { Hold } from '../locks/hold.ts'
import type { HoldLease } from '../locks/lease.ts'
import { within } from '../locks/within.ts'
import type { GrantNews, Pulse, Term } from './protocol.ts'

/** How far two clocks may drift apart before a holder doubts its lock, and how late a timer may be, as a share of the session's duration. */
const steadiness = 0.05

/** How long the worker may take to say whether a lock whose deadline passed unnoticed is still held, as a share of the session's duration. */
const patience = 1 / 4

/** The beats are those of the worker's session: the page learns of them only through what the worker tells it about each grant. */
const beats = { renewedAt: -Infinity, renewedDrift: 0 }

/** A grant that a worker keeps alive, as its page knows it: it ends by the page's own clock, whatever becomes of the worker. */
export class RemoteLease extends Grant implements HoldLease {
  hold: Hold | undefined
  /** The number by which the worker knows the lock. */
  readonly id: number
  readonly #home: RemoteLeases

  constructor(home: RemoteLeases, id: number, { name, key, until, drift, ...given }: GrantNews) {
    const { clock, duration } = home
    const granted = { ...given, number: id, reserve: undefined, seq: undefined }
    super(granted, { name, key, duration, since: until - duration, drift }, 'worker', beats, clock.monotonic())
    this.#home = home
    this.id = id
  }

  stands(now = this.#home.clock.monotonic()): boolean {
    return now < this.deadline && this.#home.isSteady(this.drift)
  }

  /** Only the timer and the worker end this lease: news of a renewal may be on its way to a page that was blocked. */
  expireIfDue(): void {}

  renew(duration?: number): Promise<void> {
    return this.#home.renew(this, duration)
  }

  get clock(): Clock {
    return this.#home.clock
  }

  /** The worker renews it. */
  renewWithin(): undefined {}

  settle(): Promise<void> {
    return this.#home.settle([this])
  }

  resume(): void {
    this.#home.arm()
  }

  /** The worker has renewed the lease. This news is true even if it comes late. */
  told({ until, drift }: Term): void {
    this.renewed(until - this.duration, drift, undefined)
  }
}

export interface RemoteLeasesOptions {
  readonly clock: Clock
  /** Asks the worker for the current state. */
  check(): Promise<Pulse>
  renew(id: number, duration: number | undefined): Promise<Pulse>
  /** The page no longer believes that it holds this lock. */
  gaveUp(id: number): void
}

/** The leases that a page holds through a worker, by number, and one timer for their deadlines. */
export class RemoteLeases {
  /** The duration of the worker's session, in ms. */
  duration = 0
  /** Whether the store spans machines: then the locks may be lost while only this machine sleeps. */
  spansMachines = false
  readonly #options: RemoteLeasesOptions
  readonly #leases = new Map<number, RemoteLease>()
  /** The leases that the worker was asked about because the timer came late. */
  readonly #doubted = new Set<RemoteLease>()
  #callOff: (() => void) | undefined
  #wakeAt = Infinity

  constructor(options: RemoteLeasesOptions) {
    this.#options = options
  }

  add(lease: RemoteLease): void {
    this.#leases.set(lease.id, lease)
    this.arm()
  }

  get(id: number): RemoteLease | undefined {
    return this.#leases.get(id)
  }

  all(): RemoteLease[] {
    return [...this.#leases.values()]
  }

  /** The page has released the lock. */
  remove(lease: RemoteLease): void {
    this.#leases.delete(lease.id)
    lease.end(released)
  }

  get clock(): Clock {
    return this.#options.clock
  }

  isSteady(drift: number): boolean {
    return !this.spansMachines || Math.abs(driftOf(this.#options.clock) - drift) <= this.duration * steadiness
  }

  /** The worker has sent the current state. */
  hear({ until, drift }: Pulse): void {
    for (const [id, end] of until) this.#leases.get(id)?.told({ until: end, drift })
    this.arm()
  }

  async renew(lease: RemoteLease, duration: number | undefined): Promise<void> {
    this.hear(await this.#options.renew(lease.id, duration))
  }

  /** This page was blocked when these deadlines passed, so it has not heard what the worker did in the meantime: asks the worker, once. */
  async settle(late: readonly RemoteLease[]): Promise<void> {
    const { clock, check } = this.#options
    for (const lease of late) this.#doubted.add(lease)
    const pulse = await within<Pulse | undefined>(clock, check(), this.duration * patience, undefined, () => undefined)
    if (pulse) this.hear(pulse)
    const now = clock.monotonic()
    for (const lease of late) {
      this.#doubted.delete(lease)
      this.#lapse(lease, now)
    }
    this.arm()
  }

  /** Ends leases as lost, for good. @param session only those of this session */
  loseAll(why: string, session?: string): void {
    for (const { id, session: its } of this.all()) if (session === undefined || its === session) this.end(id, lost('ended', why))
  }

  /** Ends a lease for good. */
  end(id: number, end: End): void {
    const lease = this.#leases.get(id)
    this.#leases.delete(id)
    if (lease?.end(end)) lease.hold?.end(end)
  }

  stop(): void {
    this.#callOff?.()
  }

  /** Sets the timer for the next deadline. */
  arm(): void {
    const { clock } = this.#options
    let next = Infinity
    for (const lease of this.#leases.values()) if (!this.#isOpen(lease)) next = Math.min(next, lease.deadline)
    if (next === this.#wakeAt) return
    this.#callOff?.()
    this.#wakeAt = next
    this.#callOff = next === Infinity ? undefined : clock.after(Math.max(0, next - clock.monotonic()), () => this.#tick(), true)
  }

  /** Whether the timer must not end a lease: the worker was asked about it, or a transaction that has checked it is open. */
  #isOpen(lease: RemoteLease): boolean {
    return this.#doubted.has(lease) || lease.hold?.isChecked === true
  }

  #tick(): void {
    this.#wakeAt = Infinity
    const now = this.#options.clock.monotonic()
    const onTime = now - this.duration * steadiness
    const due = this.all().filter((lease) => now >= lease.deadline && !this.#isOpen(lease))
    for (const lease of due) if (lease.deadline >= onTime) this.#lapse(lease, now)
    const late = due.filter((lease) => lease.deadline < onTime)
    if (late.length) this.settle(late)
    this.arm()
  }

  /** Ends a lease whose deadline has passed. */
  #lapse(lease: RemoteLease, now: number): void {
    const end = lease.lapse(now)
    if (!end) return
    this.end(lease.id, end)
    this.#options.gaveUp(lease.id)
  }
}
