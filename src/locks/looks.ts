import { type Claim, emptyView, type LockError, type LockView } from '../protocol/index.ts'
import { driftOf } from './clock.ts'
import type { Key } from './core/key.ts'
import type { Observer } from './core/observer.ts'
import { firstPause } from './core/pace.ts'
import { looksEvery } from './core/silence.ts'
import { Glimpse } from './glimpse.ts'
import type { Home } from './home.ts'
import type { Leases } from './leases.ts'
import { LookTimer } from './look-timer.ts'
import { Lookout } from './lookout.ts'
import { within } from './within.ts'

/** The parts of a line that its looks use. */
interface Looking {
  readonly key: string
  readonly leases: Leases
  /** A look showed the record: see {@link Key.looked}. */
  looked(view: LockView, index: number, sent: number, drift: number, got: number): void
  /** The store has failed for too long. */
  giveUp(error: LockError): void
}

type SeenKey = Pick<Key, 'key' | 'requests' | 'view' | 'asleep' | 'refusedAt' | 'begin'>

/** Looks at the record of a key for one session: decides when to look, what to do about the sessions in front, and when to stop. */
export class Looks {
  readonly #session: Home
  readonly #key: SeenKey
  readonly #line: Looking
  readonly #lookout: Lookout
  readonly #glimpse: Glimpse
  readonly #timer: LookTimer
  /** How often the line was poked. */
  pokes = 0
  /** Ends the pauses of callers that look without a place in the queue. */
  readonly #pauses = new Set<() => void>()
  /** Whether requests wait, or have to be sent again. */
  #waits = false
  /** Cancels the pending end of the watch. */
  #resting: (() => void) | undefined

  constructor(session: Home, key: SeenKey, line: Looking) {
    this.#session = session
    this.#key = key
    this.#line = line
    this.#lookout = new Lookout(session, key.key, () => this.poke())
    this.#glimpse = new Glimpse(session, key.key)
    this.#timer = new LookTimer(session, {
      any: () => key.requests.size > 0,
      look: () => this.look(session.settings.expiry === 'auto' && key.requests.size > 0),
      ahead: () => this.#lookout.ahead(key.view).places,
      longest: () => this.#lookout.looksEvery(key.view),
      giveUp: (error) => line.giveUp(error),
    })
  }

  /** Whether the watch still goes on although no request waits. */
  get watching(): boolean {
    return this.#resting !== undefined
  }

  /** What it has observed of the sessions in front. */
  get observer(): Observer {
    return this.#lookout.observer
  }

  /** Requests wait now. If none did before, the failures of earlier waits do not count. */
  #begin(): void {
    if (!this.#waits) this.#timer.begin()
    this.#waits = true
  }

  /** A request waits in the queue: watches the sessions in front, and looks again after a pause. */
  wait(): void {
    this.#begin()
    this.#lookout.watch(this.#key.view)
    this.#timer.pause()
  }

  /** Whether waits go on although the store failed. */
  bears(error: LockError): boolean {
    this.#begin()
    return this.#timer.bears(error)
  }

  sleep(asleep: boolean): void {
    this.#timer.asleep = asleep
    if (asleep) this.rest()
  }

  /** Removes the sessions that block a refused request with this claim and are gone. @returns whether there were any */
  clearWay(claim: Pick<Claim, 'mode' | 'limit'>): Promise<boolean> {
    return this.#lookout.clearWay(this.#key.view, claim, this.#key.refusedAt)
  }

  /** Looks at the record now: a hint came, or something here changed. */
  poke(): void {
    if (this.#key.requests.size) this.#begin()
    this.pokes += 1
    for (const end of this.#pauses) end()
    this.#glimpse.forget()
    this.#timer.poke()
  }

  /** No request waits any more: stops looking. The watch goes on for a moment, since ending it would delay the waiter that was just served. */
  restSoon(): void {
    if (!this.#waits) return
    this.#waits = false
    this.#timer.stop()
    const rest = (): void => {
      this.#resting = undefined
      if (!this.#key.requests.size) this.rest()
    }
    this.#resting ??= this.#session.clock.after(firstPause, rest, true)
  }

  rest(): void {
    this.#timer.stop()
    this.#resting?.()
    this.#resting = undefined
    this.#lookout.rest()
    this.#session.lines.settle(this.#line)
  }

  /** Ends the holders, and the waiters in front of the last one, that are proved dead. @returns whether there were any */
  endDead(view: LockView): Promise<boolean> {
    return this.#lookout.endDead(view, { mode: 'exclusive' })
  }

  /**
   * Waits until it is time to look again at holders that are being observed, or rejects with the signal's reason.
   * @param pokes how often the line had been poked before the last look
   * @returns whether it was poked since
   */
  async pause(view: LockView, atMost: number, signal?: AbortSignal, pokes = this.pokes): Promise<boolean> {
    // The next look counts for the pause that is really made, since a record without holders does not limit it.
    this.#timer.paused = Math.min(looksEvery(view), atMost)
    if (pokes !== this.pokes) return true
    let end = (): void => {}
    const poked = new Promise<boolean>((resolve) => {
      end = () => resolve(true)
    })
    this.#pauses.add(end)
    const over = within(this.#session.clock, poked, this.#timer.paused, signal, () => false)
    return await over.finally(() => this.#pauses.delete(end))
  }

  /**
   * Looks at the record and acts on what it shows; with `evict`, also evicts holders that have been silent for their lease.
   * @returns what it saw, and the pending evictions
   */
  async look(evict = false): Promise<{ view: LockView; evicting: Promise<unknown> | undefined }> {
    const key = this.#key
    const { clock, id } = this.#session
    const sent = clock.monotonic()
    const index = key.begin(sent)
    const drift = driftOf(clock)
    const { pokes } = this
    const before = key.view
    const glimpsed = evict ? await this.#glimpse.look(before, this.#lookout.ahead(before), sent) : undefined
    const view = glimpsed ?? (await this.#session.read((store) => store.read(key.key, id), true)) ?? emptyView(key.key)
    const got = clock.monotonic()
    if (!glimpsed) {
      const moved = view.token !== key.view.token
      this.#glimpse.saw(view, key.view, sent)
      // The poke may be about something newer than what was read.
      if (pokes !== this.pokes) this.#glimpse.forget()
      key.view = view
      if (moved) this.#timer.restart()
      this.#line.looked(view, index, sent, drift, got)
    } else if (key.view === before) key.view = view
    if (view.queue.length) this.#line.leases.dropIdle()
    if (key.requests.size && !key.asleep) {
      this.#lookout.watch(view)
      const row = view.sessions.get(this.#session.id)
      if (row && row.challenged === row.seq) this.#session.beat().catch(() => {})
    }
    const evicting = evict ? this.#lookout.evictSilent(view, sent, got, this.#timer.paused) : undefined
    // A refused eviction shows that more has changed.
    if (evicting) this.#glimpse.forget()
    return { view, evicting }
  }
}
