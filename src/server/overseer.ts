import { systemClock } from '../locks/clock.ts'
import { Observer } from '../locks/core/observer.ts'
import { looksEvery } from '../locks/core/silence.ts'
import { deadInTheWay } from '../locks/dead.ts'
import { Watch } from '../locks/watch.ts'
import { type Claim, type Command, type Expire, emptyView, type LockView, type Refusal, type SessionRow, seqOf } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { evidenceIn } from './evidence.ts'
import type { Suspect } from './wire.ts'

/** The longest pause between two looks, in ms. */
const longestPause = 1_000
/** How long a key is observed after a client looked at it, in ms, and in pauses between looks. */
const interest = { ms: 5_000, pauses: 2 }
/** A look counts for at most this many times the pause that was planned before it. */
const lateness = 1.25
/** The most keys observed for clients that only look. For waiters, only the limit on waiters applies. */
const capacity = 10_000
/** The least time that an abandoned session has to answer a challenge, and the most that one beat that shows it counts, in ms. */
const burial = { ms: 120_000, cap: 1_250 }

/** What the overseer knows about a key, also from before the current watch. */
interface Findings {
  readonly observer: Observer
  /** Evidence that was valid at the last look. */
  evidence: Expire['evidence'][]
}

interface Watched extends Findings {
  readonly watch: Watch
  /** When observing ends if no client asks again, in ms on the monotonic clock. */
  until: number
  /** The pause before the current look, in ms. */
  paused: number
  view: LockView
  looking: Promise<void> | undefined
  callOff: (() => void) | undefined
}

/** The functions that the overseer needs from its server. */
interface Hands {
  /** Carries out the server's own commands, and notifies the sessions concerned. */
  act(commands: readonly Command[]): Promise<unknown>
  /** Sends a session a hint to look at a key. */
  hint(session: string, key: string): void
  /** Whether a session belongs to a client of this server. */
  isClient(session: string): boolean
  /** Called with every look. */
  saw(view: LockView): void
}

/**
 * Observes holders and waiters on behalf of clients, whose own evidence is not trusted, and evicts those that are gone. The rules are those of
 * `locks/lookout.ts`.
 */
export class Overseer {
  readonly #store: Store
  readonly #hands: Hands
  readonly #auto: boolean
  readonly #watched = new Map<string, Watched>()
  /** For keys that no client asks about at the moment. */
  readonly #findings = new Map<string, Findings>()
  readonly #abandoned = new Observer()
  /** Abandoned sessions that are being challenged or ended: many beats may show them in the meantime, and each would repeat the command. */
  readonly #dealtWith = new Set<string>()
  #closed = false

  /** @param auto whether the overseer evicts by itself, and not only when a client asks for it */
  constructor(store: Store, hands: Hands, auto: boolean) {
    this.#store = store
    this.#hands = hands
    this.#auto = auto
  }

  /** How many keys are observed. */
  get size(): number {
    return this.#watched.size
  }

  /** A client waits for this key, or looked at it. */
  attend(key: string, waits = false): void {
    const known = this.#watched.get(key)
    if (known) {
      known.until = Math.max(known.until, until(known))
      return
    }
    if (this.#closed || (!waits && this.#watched.size >= capacity)) return
    const { observer, evidence } = this.#findings.get(key) ?? { observer: new Observer(), evidence: [] }
    this.#findings.delete(key)
    const watched: Watched = {
      observer,
      evidence,
      watch: new Watch(this.#store.beacon, (dead) => this.#bury(key, dead)),
      until: 0,
      paused: 0,
      view: emptyView(key),
      looking: undefined,
      callOff: undefined,
    }
    watched.until = until(watched)
    this.#watched.set(key, watched)
    this.#lookSoon(key, watched)
  }

  /** A command returned the record of a key. */
  note(view: LockView): void {
    const watched = this.#watched.get(view.key)
    if (watched) watched.view = view
  }

  /** A session or its connection ended: looks at the locks that it held. */
  lookAfter(session: string): void {
    for (const [key, watched] of this.#watched) if (watched.view.holders.some((holder) => holder.session === session)) this.#lookSoon(key, watched)
  }

  /** Replaces a client's claim that a holder or waiter is gone by the server's own evidence, or gives the reason if there is no evidence. */
  async judge(key: string, suspect: Suspect): Promise<{ evidence: Expire['evidence'] } | Refusal> {
    this.attend(key)
    const watched = this.#watched.get(key)
    if (!watched) return 'live'
    await this.#look(key, watched)
    const { view, evidence } = watched
    const isWaiter = 'number' in suspect
    const known = isWaiter
      ? view.queue.some(({ session, from, to }) => session === suspect.session && from <= suspect.number && suspect.number <= to)
      : view.holders.some(({ token }) => token === suspect.token)
    if (!known) return 'not-held'
    if (!isWaiter && view.pins.length) return 'pinned'
    const found = evidence.find((each) =>
      'number' in each ? isWaiter && each.session === suspect.session : !isWaiter && each.token === suspect.token,
    )
    return found ? { evidence: found } : 'live'
  }

  /**
   * Removes the sessions that blocked a client's refused request if they are proved dead, or were found to be silent.
   * @returns whether there were any
   */
  async clearWay(view: LockView, claim: Pick<Claim, 'mode' | 'limit'>): Promise<boolean> {
    if (!this.#auto) return false
    const { key, holders, queue, pins, sessions } = view
    const dead = await deadInTheWay(view, claim, this.#store.beacon)
    const { evidence = [] } = this.#watched.get(key) ?? this.#findings.get(key) ?? {}
    const standing = evidence.filter((each) =>
      'number' in each
        ? queue.some(({ session, from }) => session === each.session && from === each.number) && sessions.get(each.session)?.seq === each.seq
        : !pins.length && holders.some((holder) => holder.token === each.token && seqOf(holder, sessions) === each.seq),
    )
    const ends = [...dead].map((session): Command => ({ type: 'end', session }))
    const evictions = standing.map((each): Command => ({ type: 'expire', key, evidence: each }))
    if (!ends.length && !evictions.length) return false
    await this.#hands.act([...ends, ...evictions])
    return true
  }

  /** Takes the rows that look abandoned, as a beat returned them. Challenges their sessions, and ends those silent for far longer than a lease. */
  sawStale(rows: readonly SessionRow[], sent: number): void {
    for (const { id, seq, lease, challenged, beacon } of rows) {
      const asked = challenged === seq
      const silent = this.#abandoned.look(id, `${seq} ${asked}`, sent, systemClock.monotonic(), burial.cap)
      const patience = asked || beacon !== undefined ? Math.max(4 * lease, burial.ms) : lease
      if (silent <= patience || this.#dealtWith.has(id)) continue
      this.#dealtWith.add(id)
      this.#act([asked ? { type: 'end', session: id, seq } : { type: 'challenge', session: id }]).then(() => this.#dealtWith.delete(id))
    }
    if (rows.length) this.#abandoned.keep(new Set(rows.map(({ id }) => id)))
  }

  close(): void {
    this.#closed = true
    for (const [key, watched] of this.#watched) this.#forget(key, watched)
  }

  /** Carries out commands. If that fails, the next look tries again. */
  async #act(commands: readonly Command[]): Promise<void> {
    await this.#hands.act(commands).catch(() => {})
  }

  #forget(key: string, watched: Watched): void {
    watched.callOff?.()
    watched.watch.keep(new Map())
    this.#watched.delete(key)
    // Keep the findings: otherwise observing would start afresh with each request of a client that asks now and then and never waits.
    const { observer, evidence } = watched
    if (observer.size) this.#findings.set(key, { observer, evidence })
    const [oldest] = this.#findings.keys()
    if (this.#findings.size > capacity && oldest !== undefined) this.#findings.delete(oldest)
  }

  #lookSoon(key: string, watched: Watched): void {
    this.#look(key, watched).catch(() => {})
  }

  /** Makes one look at a time; a caller that comes during a look gets the next one. */
  async #look(key: string, watched: Watched): Promise<void> {
    while (watched.looking) await watched.looking
    watched.callOff?.()
    watched.looking = this.#lookOnce(key, watched)
    try {
      await watched.looking
    } finally {
      watched.looking = undefined
      this.#pause(key, watched)
    }
  }

  #pause(key: string, watched: Watched): void {
    if (this.#watched.get(key) !== watched) return
    const waits = watched.view.queue.some(({ session }) => this.#hands.isClient(session))
    if (this.#closed || (!waits && systemClock.monotonic() >= watched.until)) {
      this.#forget(key, watched)
      return
    }
    watched.paused = pauseOf(watched)
    watched.callOff = systemClock.after(watched.paused, () => this.#lookSoon(key, watched), true)
  }

  async #lookOnce(key: string, watched: Watched): Promise<void> {
    const sent = systemClock.monotonic()
    const view = (await this.#store.read(key)) ?? emptyView(key)
    watched.view = view
    this.#hands.saw(view)
    // The first look of a watch counts as much as a waiter's look, however long ago the last one was.
    const { evidence, challenges } = evidenceIn(watched.observer, view, sent, lateness * (watched.paused || looksEvery(view)))
    watched.evidence = evidence
    const waits = view.queue.some(({ session }) => this.#hands.isClient(session))
    watched.watch.keep(new Map(waits && this.#auto ? view.holders.map(({ session }) => [session, view.sessions.get(session)?.beacon]) : []))
    if (!waits) return
    const evicted = this.#auto ? watched.evidence.filter((evidence) => 'number' in evidence || !view.pins.length) : []
    const commands: Command[] = evicted.map((evidence) => ({ type: 'expire', key, evidence }))
    for (const session of challenges) commands.push({ type: 'challenge', session })
    if (commands.length) await this.#hands.act(commands)
    for (const session of challenges) this.#hands.hint(session, key)
  }

  /** A holder is proved dead: ends its session, so that the lock is granted to the next waiter. */
  #bury(key: string, dead: string): void {
    const token = this.#watched.get(key)?.view.holders.find((holder) => holder.session === dead)?.token ?? 0
    this.#act([
      { type: 'end', session: dead },
      { type: 'expire', key, evidence: { token, seq: undefined } },
    ])
  }
}

const pauseOf = ({ view }: Watched): number => Math.min(looksEvery(view), longestPause)

const until = (watched: Watched): number => systemClock.monotonic() + Math.max(interest.ms, interest.pauses * pauseOf(watched))
