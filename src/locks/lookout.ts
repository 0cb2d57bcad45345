import { type Command, type Holder, type LockView, leaseOf, type Mode, type Run, seqOf } from '../protocol/index.ts'
import { deadInTheWay } from './dead.ts'
import type { Home } from './home.ts'
import type { Observer } from './observer.ts'
import { Watch } from './watch.ts'

/** A holder is looked at so many times in each of its leases, at least. */
const looksPerLease = 8
/** A look counts for no more than this many of the pauses that were meant before it. */
const lateness = 1.25

/** So many runs in a queue are a crowd: with more, each gets more time to confirm a grant or to answer a challenge. */
const crowd = 16

/** The longest pause between looks that observe these holders, in ms. */
export const looksEvery = ({ holders, sessions }: LockView): number =>
  Math.min(...holders.map((holder) => leaseOf(holder, sessions) || Infinity)) / looksPerLease

/**
 * For how long a session that has to confirm a grant, or to answer a challenge, may be silent, in ms. Many that wait have little of a
 * machine's time each, and what lapses only makes more work: the more wait, the longer it may take, up to the session's lease.
 */
export const patienceFor = (confirm: number, session: string, { queue, sessions }: LockView): number =>
  Math.max(confirm, Math.min((confirm * queue.length) / crowd, sessions.get(session)?.lease ?? 0))

/** How long a holder may be silent, in ms. */
export function patienceWith(holder: Holder, view: LockView): number {
  const lease = leaseOf(holder, view.sessions)
  return holder.unconfirmed ? patienceFor(lease, holder.session, view) : lease
}

/** Keeps an eye on those who stand before this session in the line for one key, and removes the ones that are gone. */
export class Lookout {
  readonly #session: Home
  readonly #key: string
  readonly #removed: () => void
  readonly observer: Observer
  readonly #watch: Watch
  #view: LockView | undefined

  /** Calls `removed` when one that was proved dead has been removed. */
  constructor(session: Home, key: string, removed: () => void) {
    this.#session = session
    this.#key = key
    this.#removed = removed
    this.observer = session.takeObserver(key)
    this.#watch = new Watch(session.settings.store.beacon, (dead) => this.#bury(dead))
  }

  /** What stands before this session's first request: how many places, of which the lock's present holder is one; how many runs; the one right in front. */
  ahead({ queue }: LockView): { places: number; runs: number; front: Run | undefined } {
    const { id } = this.#session
    let places = 1
    let runs = 0
    for (; runs < queue.length; runs++) {
      const { session, from, to } = queue[runs] as Run
      if (session === id) break
      places += to - from + 1
    }
    return { places, runs, front: queue[runs - 1] }
  }

  /** The longest pause between two looks, in ms: those further back act later, so they need not look as often. */
  looksEvery(view: LockView): number {
    return looksEvery(view) * Math.max(1, this.ahead(view).runs)
  }

  /**
   * Evicts holders that have been silent for their lease, a waiter right in front that does not answer a challenge, and a first
   * in line whose session has ended.
   * @param sent when the look that showed `view` went out, `got` when it came back, and `pause` how long before it was meant to be: in ms
   * @returns the evictions under way
   */
  evictSilent(view: LockView, sent: number, got: number, pause: number): Promise<unknown> | undefined {
    const key = this.#key
    const { id: session } = this.#session
    const meant = pause || looksEvery(view)
    // A record without holders says nothing of how often to look.
    const cap = lateness * (meant < Infinity ? meant : this.#session.settings.maxBackoff)
    const { runs, front } = this.ahead(view)
    const commands: Command[] = []
    const seen = new Set<string>()
    const silence = (who: string, mark: string): number => {
      seen.add(who)
      return this.observer.look(who, mark, sent, got, cap)
    }
    for (const holder of view.holders) {
      if (holder.session === session) continue
      const { token } = holder
      const seq = seqOf(holder, view.sessions)
      const silent = silence(`${token}`, `${seq}`)
      const ended = !view.sessions.has(holder.session)
      // Those further back act later, each in turn, in case those before them are gone too.
      const due = ended || silent >= patienceWith(holder, view) * (1 + runs / looksPerLease)
      if (due && !view.pins.length) commands.push({ type: 'expire', key, session, evidence: { token, seq } })
    }
    const [head] = view.queue
    // A session that has ended is no waiter, but its run stands until someone's command meets it: shared holders may send none for long.
    if (head && !view.sessions.has(head.session))
      commands.push({ type: 'expire', key, session, evidence: { session: head.session, number: head.from, seq: undefined } })
    const row = front && view.sessions.get(front.session)
    if (front && row && row.beacon === undefined && row.id !== session) {
      const { id, seq } = row
      const challenged = row.challenged === seq
      const silent = silence(id, `${seq} ${challenged}`)
      if (challenged && silent >= patienceFor(front.confirm, id, view))
        commands.push({ type: 'expire', key, session, evidence: { session: id, number: front.from, seq } })
      if (!challenged && silent >= row.lease) commands.push({ type: 'challenge', session: id })
    }
    this.observer.keep(seen)
    if (!commands.length) return undefined
    const evicting = Promise.all(commands.map((command) => this.#session.send(command)))
    // What failed now is tried again after the next look.
    evicting.catch(() => {})
    return evicting
  }

  /**
   * Removes those in the way of a request of this session's that was refused: the proved dead, and the ones whose silence this refusal,
   * which is a look, shows to have lasted for their lease.
   * @param sent when the request went out, in ms
   * @returns whether there was anything to be done, once the store has done it
   */
  async clearWay(view: LockView, mode: Mode, sent: number): Promise<boolean> {
    const { clock, settings } = this.#session
    if (settings.expiry !== 'auto') return false
    // However far apart such looks are, each counts as one of those that a waiter makes.
    const evicting = this.evictSilent(view, sent, clock.monotonic(), looksEvery(view))
    const dead = await this.endDead(view, mode)
    // What the store failed to do, the next refusal shows.
    await evicting?.catch(() => {})
    return dead || evicting !== undefined
  }

  /** Ends the sessions that keep a request of this mode out and are proved dead. @returns whether there were any */
  async endDead(view: LockView, mode: Mode): Promise<boolean> {
    const dead = await deadInTheWay(view, mode, this.#session.settings.store.beacon)
    await Promise.allSettled([...dead].map((session) => this.#session.send({ type: 'end', session })))
    return dead.size > 0
  }

  /** The first in line watches the holders' beacons, everyone else that of the one in front: one death wakes one waiter. */
  watch(view: LockView): void {
    if (this.#session.settings.expiry !== 'auto' || !view.queue.length) return
    this.#view = view
    const { front } = this.ahead(view)
    const watched = new Map<string, string | undefined>()
    for (const { session } of front ? [front] : view.holders)
      if (session !== this.#session.id) watched.set(session, view.sessions.get(session)?.beacon)
    this.#watch.keep(watched)
  }

  /** Stops watching: nobody here waits. */
  rest(): void {
    this.#watch.keep(new Map())
  }

  /** A watched session is proved dead: ends it, and has the key's record show who may have the lock now. */
  #bury(dead: string): void {
    const session = this.#session
    const token = this.#view?.holders.find((holder) => holder.session === dead)?.token ?? 0
    const sent = [
      session.send({ type: 'end', session: dead }),
      session.send({ type: 'expire', key: this.#key, session: session.id, evidence: { token, seq: undefined } }),
    ]
    // What the store failed to do is tried again after the next look; looking at once would turn in circles.
    Promise.all(sent).then(
      () => this.#removed(),
      () => {},
    )
  }
}
