import type { Claim, LockView } from '../protocol/index.ts'
import type { Observer } from './core/observer.ts'
import { type Ahead, aheadOf, looksEvery, onSilence } from './core/silence.ts'
import { deadInTheWay } from './dead.ts'
import type { Home } from './home.ts'
import { Watch } from './watch.ts'

/** Watches the sessions in front of this one in the line for one key, and removes those that are gone. */
export class Lookout {
  readonly #session: Home
  readonly #key: string
  readonly #removed: () => void
  readonly observer: Observer
  readonly #watch: Watch
  #view: LockView | undefined

  /** @param removed called when a session that was proved dead has been removed */
  constructor(session: Home, key: string, removed: () => void) {
    this.#session = session
    this.#key = key
    this.#removed = removed
    this.observer = session.lines.takeObserver(key)
    this.#watch = new Watch(session.settings.store.beacon, (dead) => this.#bury(dead))
  }

  ahead(view: LockView): Ahead {
    return aheadOf(this.#session.id, view)
  }

  /** The longest pause between two looks, in ms: sessions further back act later, so they need not look as often. */
  looksEvery(view: LockView): number {
    return looksEvery(view) * Math.max(1, this.ahead(view).runs)
  }

  /**
   * Does what {@link onSilence} says.
   * @param sent when the look that showed `view` went out, `got` when it came back, and `pause` the planned pause before it: in ms
   * @returns the evictions under way
   */
  evictSilent(view: LockView, sent: number, got: number, pause: number): Promise<unknown> | undefined {
    const { id, settings } = this.#session
    const commands = onSilence(this.observer, id, { view, sent, got, pause, maxBackoff: settings.maxBackoff })
    if (!commands.length) return undefined
    const evicting = Promise.all(commands.map((command) => this.#session.send(command)))
    // A command that fails is tried again after the next look.
    evicting.catch(() => {})
    return evicting
  }

  /**
   * Removes sessions that block a refused request of this session: those that are proved dead, and those that have been silent for their lease. The
   * refusal counts as a look.
   * @param sent when the request went out, in ms
   * @returns whether there were any, once the store has answered
   */
  async clearWay(view: LockView, claim: Pick<Claim, 'mode' | 'limit'>, sent: number): Promise<boolean> {
    const { clock, settings } = this.#session
    if (settings.expiry !== 'auto') return false
    // However far apart such looks are, each counts for no more than a look of a waiter.
    const evicting = this.evictSilent(view, sent, clock.monotonic(), looksEvery(view))
    const dead = await this.endDead(view, claim)
    // If an eviction fails, the next refusal leads to another try.
    await evicting?.catch(() => {})
    return dead || evicting !== undefined
  }

  /** Ends the sessions that block a request with this claim and are proved dead. @returns whether there were any */
  async endDead(view: LockView, claim: Pick<Claim, 'mode' | 'limit'>): Promise<boolean> {
    const dead = await deadInTheWay(view, claim, this.#session.settings.store.beacon)
    await Promise.allSettled([...dead].map((session) => this.#session.send({ type: 'end', session })))
    return dead.size > 0
  }

  /** The first waiter watches the holders' beacons, every other waiter the beacon of the session in front: one death wakes one waiter. */
  watch(view: LockView): void {
    if (this.#session.settings.expiry !== 'auto' || !view.queue.length) return
    this.#view = view
    const { front } = this.ahead(view)
    const watched = new Map<string, string | undefined>()
    for (const { session } of front ? [front] : view.holders)
      if (session !== this.#session.id) watched.set(session, view.sessions.get(session)?.beacon)
    this.#watch.keep(watched)
  }

  /** Stops watching: no request here waits. */
  rest(): void {
    this.#watch.keep(new Map())
  }

  /** A watched session is proved dead: ends it, and sends a command on the key, which grants the lock to the next waiters. */
  #bury(dead: string): void {
    const session = this.#session
    const token = this.#view?.holders.find((holder) => holder.session === dead)?.token ?? 0
    const sent = [
      session.send({ type: 'end', session: dead }),
      session.send({ type: 'expire', key: this.#key, session: session.id, evidence: { token, seq: undefined } }),
    ]
    // A command that fails is tried again after the next look; looking at once would loop.
    Promise.all(sent).then(
      () => this.#removed(),
      () => {},
    )
  }
}
