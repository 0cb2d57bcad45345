import { LockError, type SessionRow } from '../protocol/index.ts'
import { driftOf } from './clock.ts'
import { SessionBeats } from './core/beats.ts'
import { Observer } from './core/observer.ts'
import { Rhythm } from './core/rhythm.ts'
import type { Home, Kept, Pulse } from './home.ts'
import { within } from './within.ts'

/** How many beats may be under way at once: a store that hangs gets a few tries and no flood. */
const maxBeats = 3
/** How far the wall clock may drift from the monotonic clock before a holder doubts its lock, as a share of the duration. */
const steadiness = 0.05
/** How long a session that looks abandoned has to answer a challenge, at least, in ms. */
const burial = 120_000

/** Keeps a session's leases: one timer for their deadlines and renewals, and one beat that renews all that lean on the session. */
export class Heart<Lease extends Kept = Kept> implements Pulse {
  readonly leases = new Set<Lease>()
  readonly beats = new SessionBeats()
  readonly #session: Home
  readonly #abandoned = new Observer()
  readonly #rhythm: Rhythm<Lease>
  /** What else the timer does on each of its ticks. @returns whether it is to be called again */
  readonly #chore: (now: number) => boolean
  #underWay = 0
  #failing = false
  #wakeAt = Infinity
  #callOff: (() => void) | undefined
  /** When the timer was last found to be late, as after a sleep. */
  #lateAt = -Infinity

  constructor(session: Home, chore: (now: number) => boolean) {
    this.#session = session
    this.#chore = chore
    this.#rhythm = new Rhythm(this.#pace)
  }

  get #pace(): number {
    return this.#session.settings.duration / 10
  }

  /** The session's row was opened. */
  start(row: SessionRow, sent: number, drift: number): void {
    this.beats.count(row, sent, drift)
  }

  /** Keeps a lease alive until it ends. */
  keep(lease: Lease): void {
    this.leases.add(lease)
    this.#wake(this.#rhythm.keep(lease, this.#session.clock.monotonic()))
  }

  /** Runs the chore within a tenth of the duration. */
  wakeSoon(): void {
    this.#wake(this.#session.clock.monotonic() + this.#pace)
  }

  /** If the session has leases, beats at once: the answer shows whether the session still stands. */
  beatNow(): void {
    if (this.leases.size) this.#beat()
  }

  stop(): void {
    this.#callOff?.()
  }

  /** Renews or confirms a lease in the background; the timer tries again what fails. */
  renew(lease: Lease): void {
    this.#watchOver(lease.renew(), [lease])
  }

  /**
   * False if a sleep may have stopped the monotonic clock since a renewal: it is then unknown, until the next renewal, whether the lock was lost.
   * @param renewedAt when that renewal went out, and `drift` by how much the wall clock was ahead of the monotonic one then
   */
  isSteady(now: number, renewedAt: number, drift: number, duration: number): boolean {
    const { clock, settings } = this.#session
    this.#noteLateness(now)
    if (this.#lateAt < renewedAt && !settings.store.spansMachines) return true
    return Math.abs(driftOf(clock) - drift) <= duration * steadiness
  }

  #noteLateness(now: number): void {
    if (now > this.#wakeAt + this.#session.settings.duration * steadiness) this.#lateAt = now
  }

  #wake(at: number): void {
    if (at >= this.#wakeAt) return
    const { clock } = this.#session
    this.#callOff?.()
    this.#wakeAt = at
    this.#callOff = clock.after(Math.max(0, at - clock.monotonic()), () => this.#tick(), true)
  }

  #tick(): void {
    const now = this.#session.clock.monotonic()
    this.#noteLateness(now)
    this.#wakeAt = Infinity
    const { lapsed, beat, renewals, pinChecks } = this.#rhythm.tick(this.leases, now)
    // A listener to the end of one may release others.
    for (const lease of lapsed) lease.expireIfDue(now)
    if (beat) this.#beat()
    for (const lease of renewals) if (this.leases.has(lease)) this.renew(lease)
    for (const lease of pinChecks) if (this.leases.has(lease)) this.#watchOver(lease.keepIfPinned(), [lease])
    if (this.#chore(now)) this.wakeSoon()
    for (const lease of this.leases) this.#wake(this.#rhythm.next(lease))
  }

  #expireDue(): void {
    for (const lease of [...this.leases]) lease.expireIfDue()
  }

  #beat(): void {
    const leaning = [...this.leases].filter((lease) => lease.leans)
    if (this.#underWay >= maxBeats) {
      this.#fail(leaning, new LockError('store', `the store has not answered ${maxBeats} renewals`))
      return
    }
    this.#underWay++
    // A beat that is never answered must not block later beats for ever.
    const { clock, settings } = this.#session
    const late = (): never => {
      throw new LockError('store', 'the store has not answered a renewal')
    }
    this.#watchOver(
      within(clock, this.#beatOnce(), settings.duration, undefined, late).finally(() => this.#underWay--),
      leaning,
    )
  }

  async #beatOnce(): Promise<void> {
    const session = this.#session
    const { id } = session
    const { outcome, sent, drift } = await session.beat()
    if (id !== session.id) return
    // A reply that arrives after a lock's deadline does not bring that lock back.
    this.#expireDue()
    if (outcome.type === 'ended') return session.givenUp()
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (outcome.type !== 'beaten') return
    const { taken, asked, keys } = this.beats.news(outcome.session)
    if (taken) await session.lookAtHolds(keys)
    // An ask can wait for the look that shows it; the renewal must not wait for that look.
    else if (asked) {
      this.beats.asksMissed = false
      session.lookAtHolds(keys).catch(() => {
        this.beats.asksMissed = true
      })
    }
    this.beats.count(outcome.session, sent, drift)
    const { seen } = session
    if (seen.wants('renewed')) {
      const keys = [...this.leases].flatMap((lease) => (lease.leans ? lease.key : []))
      if (keys.length) seen.tell({ type: 'renewed', keys, session: id })
    }
    for (const row of outcome.stale) if (row.id !== id) this.#observeAbandoned(row, sent)
    this.#abandoned.keep(new Set(outcome.stale.map((row) => row.id)))
  }

  #watchOver(renewal: Promise<void>, leases: readonly Lease[]): void {
    renewal.then(
      () => {
        this.#failing = false
      },
      (error) => this.#fail(leases, error),
    )
  }

  /** Warns when renewals begin to fail. */
  #fail(leases: readonly Lease[], error: LockError): void {
    const held = leases.filter((lease) => this.leases.has(lease))
    if (this.#failing || !held.length) return
    this.#failing = true
    const deadline = Math.min(...held.map((lease) => lease.deadline))
    this.#session.warn({ type: 'renewal', names: held.map(({ name }) => name), error, deadline })
  }

  /** Ends a session that is gone: one that has not answered a challenge for far longer than any of its holds could last. */
  #observeAbandoned({ id, seq, lease, challenged, beacon }: SessionRow, sent: number): void {
    const session = this.#session
    const asked = challenged === seq
    const silent = this.#abandoned.look(id, `${seq} ${asked}`, sent, session.clock.monotonic(), this.#pace * 1.25)
    // A session that only waits does not beat either, so it is challenged before it is ended. A waiter with a beacon never writes, and its death is
    // usually proved, so it is challenged later.
    if (silent > (asked || beacon !== undefined ? Math.max(4 * lease, burial) : lease))
      session.send(asked ? { type: 'end', session: id, seq } : { type: 'challenge', session: id }).catch(() => {})
  }
}
