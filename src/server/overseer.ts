import { systemClock } from '../locks/clock.ts'
import { Observer } from '../locks/core/observer.ts'
import { looksEvery } from '../locks/core/silence.ts'
import { deadInTheWay } from '../locks/dead.ts'
import { Watch } from '../locks/watch.ts'
import { type Command, type Expire, emptyView, type LockView, type Mode, type Refusal, type SessionRow, seqOf } from '../protocol/index.ts'
import type { Store } from '../store.ts'
import { evidenceIn } from './evidence.ts'
import type { Suspect } from './wire.ts'

/** The longest pause between two looks, in ms. */
const longestPause = 1_000
/** How long a key is observed after someone looked at it, in ms, and in pauses between looks. */
const interest = { ms: 5_000, pauses: 2 }
/** A look counts for at most this many of the pauses that were planned before it. */
const lateness = 1.25
/** How many keys are observed for clients that only look; for waiters there is no limit but their own. */
const capacity = 10_000
/** How long an abandoned session has at least to answer a challenge, and how much a beat that shows it may count, in ms. */
const burial = { ms: 120_000, cap: 1_250 }

/** What is known about a key, also from before the present watch. */
interface Findings {
  readonly observer: Observer
  /** Evidence that was valid at the last look. */
  evidence: Expire['evidence'][]
}

interface Watched extends Findings {
  readonly watch: Watch
  /** When nobody is interested any more. */
  until: number
  /** The pause before the present look, in ms. */
  paused: number
  view: LockView
  looking: Promise<void> | undefined
  callOff: (() => void) | undefined
}

/** What the overseer needs others to do. */
interface Hands {
  /** Carries out commands of the server's own, and notifies those concerned. */
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
  /** For keys that nobody is interested in at the moment. */
  readonly #findings = new Map<string, Findings>()
  readonly #abandoned = new Observer()
  /** Abandoned sessions that are being challenged or ended: many beats may show them meanwhile, and each would repeat that. */
  readonly #dealtWith = new Set<string>()
  #closed = false

  /** @param auto whether it evicts by itself, and not only when a client asks for it */
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

  /** A session ended, or its connection did: looks at what it held. */
  lookAfter(session: string): void {
    for (const [key, watched] of this.#watched) if (watched.view.holders.some((holder) => holder.session === session)) this.#lookSoon(key, watched)
  }

  /** Replaces a client's claim that someone is gone by the server's own evidence, or says why there is none. */
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
   * Removes sessions that blocked a client's refused request: those proved dead, and those found to be silent.
   * @returns whether there were any
   */
  async clearWay(view: LockView, mode: Mode): Promise<boolean> {
    if (!this.#auto) return false
    const { key, holders, queue, pins, sessions } = view
    const dead = await deadInTheWay(view, mode, this.#store.beacon)
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

  /** Rows that look abandoned, as a beat returned them: ends those that answer no challenge for far longer than any hold of theirs could last. */
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

  /** If this fails, it is tried again after the next look. */
  async #act(commands: readonly Command[]): Promise<void> {
    await this.#hands.act(commands).catch(() => {})
  }

  #forget(key: string, watched: Watched): void {
    watched.callOff?.()
    watched.watch.keep(new Map())
    this.#watched.delete(key)
    // Otherwise clients that ask now and then, and never wait, would begin again with each of their requests.
    const { observer, evidence } = watched
    if (observer.size) this.#findings.set(key, { observer, evidence })
    const [oldest] = this.#findings.keys()
    if (this.#findings.size > capacity && oldest !== undefined) this.#findings.delete(oldest)
  }

  #lookSoon(key: string, watched: Watched): void {
    this.#look(key, watched).catch(() => {})
  }

  /** One look at a time; those who come meanwhile get the next. */
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
    // The first look since somebody asked counts as one of a waiter's looks, however long ago the last one was.
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

  /** A holder is proved dead: ends its session, so that the lock is granted to the next. */
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
