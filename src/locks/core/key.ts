import { type Command, emptyView, type Holder, LockError, type LockView, type LossReason, lossOf, type Outcome } from '../../protocol/index.ts'
import type { Effect, Effects } from './effects.ts'
import type { Grant, Granted } from './grant.ts'
import { asking, over, type Request, steals, unsent } from './request.ts'

/** Of an unconfirmed lease, the share that a waiter may use before it has confirmed (DESIGN §5.1). */
const usable = 3 / 4
/** Of the same, the share after which it confirms first: its looks come late, and so may its confirmation. */
const fresh = 1 / 2

/** A command's outcome, when it went out, and by how much the wall clock was ahead of the monotonic one then, in ms. */
export interface Answer {
  readonly outcome: Outcome
  readonly sent: number
  readonly drift: number
}

/** A hint's word that a request was granted. */
export type Hinted = Pick<Granted, 'number' | 'token' | 'previous' | 'reserve'>

/** What a key is told of the session whose it is. */
export interface Surroundings {
  /** The present session's. */
  readonly id: string
  /** Whether nobody but sessions can send hints. */
  readonly trusted: boolean
  /** The short lease of a grant that someone else's command makes, in ms. */
  readonly confirm: number
  /** In ms. */
  readonly duration: number
}

/**
 * One key as one session knows it: its requests, its grants and the record as it was last seen. Each method is something that can happen;
 * it changes the states and returns what is to be done.
 */
export class Key<R extends Request = Request, G extends Grant = Grant> {
  readonly key: string
  /** Those that wait, by their numbers. */
  readonly requests = new Map<number, R>()
  /** Each with the number of looks that had begun before it was known. */
  readonly grants = new Map<G, number>()
  /** The record as it was last seen. */
  view: LockView
  /** How many looks have begun. */
  looks = 0
  /** When the last one went out, in ms. */
  lookedAt = -Infinity
  /** When the last request went out that was refused, since the lock was not free, in ms. */
  refusedAt = 0
  /** The context sleeps, as a page does that was left: nothing of it stands in the queue. */
  asleep = false
  /** The last number that a request had. */
  number: number
  readonly #home: Surroundings

  /** @param number is below all that its requests are numbered by */
  constructor(home: Surroundings, key: string, number: number) {
    this.#home = home
    this.key = key
    this.number = number
    this.view = emptyView(key)
  }

  /** A look goes out. @returns its number */
  begin(sent: number): number {
    this.lookedAt = sent
    return ++this.looks
  }

  /** Whether a request still waits under this number: not once it was served or given up, nor once it was sent anew. */
  waits(request: R, number: number): boolean {
    return this.requests.get(number) === request
  }

  /** A request is made, or made anew. */
  ask(request: R): Effects<R, G> {
    this.#renumber(request)
    // The look with which the context wakes does not find it in the record, and sends it.
    request.life = this.asleep ? unsent : asking
    return this.asleep ? [] : [{ do: 'send', request, number: request.number }]
  }

  /** The command of a request, now that its session is open; `undefined` if it need not go out. */
  command(request: R, number: number, client: string, reserve: number | undefined): Command | undefined {
    const { mode, lease, metadata, ifAvailable, ifNoQueue, ask } = request.wish
    const steal = steals(request)
    // Also one that was given up by now has its say with the holders.
    if (!this.waits(request, number) && (ask === undefined || steal || this.asleep)) return undefined
    const { id: session, confirm } = this.#home
    const claim = { key: this.key, session, client, number, mode, confirm, lease }
    return { type: 'request', ...claim, metadata, reserve, ifAvailable, ifNoQueue, steal, ask }
  }

  /** A request's command was answered. @param session whose it was */
  answered(request: R, number: number, session: string, { outcome, sent, drift }: Answer): Effects<R, G> {
    if ('record' in outcome) this.view = outcome.record
    if (!this.waits(request, number)) {
      const token = outcome.type === 'granted' ? outcome.holder.token : undefined
      return [...(request.wish.ask === undefined ? [] : hint), ...this.#letGo(number, token)]
    }
    request.life = unsent
    // What a session was given that has ended since went with it. The next look sends the request again.
    if (session !== this.#home.id) return look
    if (outcome.type === 'granted' && !outcome.repeated) return this.#start(request, outcome.holder, sent, drift)
    if (outcome.type === 'failed') return this.#refuse(request, new LockError(outcome.code, outcome.message))
    if (outcome.type === 'refused' && outcome.reason === 'busy') {
      this.refusedAt = sent
      return this.#refuse(request)
    }
    // It was given up while it slept. It held nothing, or its beat would have told; its requests are sent again under the next.
    if (outcome.type === 'refused') return [{ do: 'end' }]
    request.life = { is: 'queued', seen: { at: sent, drift, token: this.view.token }, after: this.looks }
    request.since = Math.min(request.since, sent)
    if (request.impatient && !this.asleep) return [...this.grab(request), ...wait]
    const next = this.asleep ? this.#takeBack(request) : wait
    const asks = request.wish.ask !== undefined || this.view.holders.some((holder) => this.mayLinger(holder))
    return asks ? [...hint, ...next] : next
  }

  /** The session of a request could not be opened. @param again whether the request is made anew, since the store was only too slow */
  unopened(request: R, number: number, error: LockError, again: boolean): Effects<R, G> {
    if (!this.waits(request, number)) return []
    return again ? this.ask(request) : this.#refuse(request, error)
  }

  /** A request's command failed: the store may have carried it out all the same. */
  unanswered(request: R, number: number, error: LockError, again: boolean): Effects<R, G> {
    const effects = this.unopened(request, number, error, again)
    return again ? effects : [...effects, ...this.#letGo(number)]
  }

  /** Nobody waits for a request any more. One that is under way is taken back when its answer is here. */
  leave(request: R): Effects<R, G> {
    const { life, number } = request
    this.#forget(request)
    return life.is === 'queued' ? [{ do: 'letGo', number }] : []
  }

  /** The holders that a request asked to let go have had their time: it steals. */
  grab(request: R): Effects<R, G> {
    request.impatient = true
    const { life, number } = request
    if (this.asleep || !this.waits(request, number) || life.is === 'asking' || life.is === 'confirming') return []
    return [...(life.is === 'queued' ? [{ do: 'letGo', number } as const] : []), ...this.ask(request)]
  }

  /** A command of this session's own granted the lock to one of its requests. */
  granted(holder: Holder, record: LockView, { sent, drift }: Answer, now: number): Effects<R, G> {
    this.view = record
    const request = this.requests.get(holder.number)
    if (!request) return this.#letGo(holder.number, holder.token)
    // What an operator's command grants is nobody's own: it has to be confirmed like another's, by the next look if it cannot be now.
    return holder.unconfirmed ? this.#found(request, holder, now) : this.#start(request, holder, sent, drift)
  }

  /** A command of this session's own took the grant of one of its requests. The answer that tells of that grant may come after this news. */
  robbed(number: number, token: number, how: LossReason): Effects<R, G> {
    const request = this.requests.get(number)
    if (request) request.robbed = { token, how }
    return request ? [] : this.#rob(token, how)
  }

  /**
   * A hint says that a request was granted. Where strangers cannot say so, that is believed if a look at an earlier token still showed the
   * request waiting: since that look the grant stands for its confirm time at least. Where they can, the store has to confirm it first.
   * Anything else is a reason to look.
   */
  hinted({ number, token, previous, reserve }: Hinted, now: number): Effects<R, G> {
    const request = this.requests.get(number)
    const { confirm, id: session, trusted } = this.#home
    if (request?.life.is !== 'queued') return look
    const { seen } = request.life
    if (token <= seen.token || now >= seen.at + confirm * fresh) return look
    if (!trusted) return this.#confirm(request, session, token)
    const grant = { session, mode: request.wish.mode, number, token, previous, reserve, seq: -1 }
    return this.#start(request, grant, seen.at, seen.drift, seen.at + confirm * usable)
  }

  /** A look shows the record. @param index the look's number @param now when it came back, in ms */
  looked(view: LockView, index: number, sent: number, drift: number, now: number): Effects<R, G> {
    this.view = view
    const { id, duration } = this.#home
    const out: Effect<R, G>[] = []
    for (const [grant, after] of this.grants) {
      const isNamed = view.holders.some(({ session, token }) => session === grant.session && token === grant.token)
      if (after < index && !isNamed) out.push({ do: 'lose', grant, how: lossOf(view, grant.token) })
    }
    const found = new Set<number>()
    let holds = false
    for (const holder of view.holders) {
      if (holder.session !== id) continue
      holds = true
      found.add(holder.number)
      const request = this.requests.get(holder.number)
      out.push(...(request ? this.#found(request, holder, now) : this.#letGo(holder.number, holder.token)))
    }
    for (const { session, from, to } of view.queue) {
      if (session !== id) continue
      for (let number = from; number <= to; number++) {
        found.add(number)
        const request = this.requests.get(number)
        // A look may have begun before the grant: what it shows as waiting may be held by now.
        if (!request) out.push(...this.#letGo(number))
        else if (request.life.is === 'queued' && sent > request.life.seen.at) {
          request.life = { ...request.life, seen: { at: sent, drift, token: view.token } }
          // Its grace ended while it confirmed a grant, which was in vain.
          if (request.impatient) out.push(...this.grab(request))
        }
      }
    }
    const stuck = holds && this.stuckSince(sent - duration)
    if (stuck) out.push({ do: 'stuck', request: stuck })
    // One that the record does not know was dropped while it was silent, or its session has ended: it is sent anew.
    for (const request of [...this.requests.values()]) {
      const { life, number } = request
      if (life.is === 'unsent' || (life.is === 'queued' && life.after < index && !found.has(number))) out.push(...this.ask(request))
    }
    return out
  }

  /** The store says whether a grant stands. */
  confirmed(request: R, number: number, session: string, { outcome, sent, drift }: Answer): Effects<R, G> {
    if (!this.#unconfirmed(request, number)) return this.#letGo(number)
    // A forged hint may name a grant that answers another request of this session.
    const stands = outcome.type === 'renewed' && outcome.holder.number === number && session === this.#home.id
    return stands ? this.#start(request, outcome.holder, sent, drift) : look
  }

  /** The store failed to say whether a grant stands. The next look shows what became of it. */
  unconfirmed(request: R, number: number): Effects<R, G> {
    return this.#unconfirmed(request, number) ? [] : this.#letGo(number)
  }

  #unconfirmed(request: R, number: number): boolean {
    if (!this.waits(request, number)) return false
    if (request.life.is === 'confirming') request.life = { ...request.life, is: 'queued' }
    return true
  }

  /** The context falls asleep: all requests are taken back, and sent again when it wakes. A page that is left may be frozen right after. */
  sleep(): Effects<R, G> {
    this.asleep = true
    return [...this.requests.values()].flatMap((request) => (request.life.is === 'queued' ? this.#takeBack(request) : []))
  }

  /** One that has waited since before a time, for what this session has held as long. */
  stuckSince(time: number): R | undefined {
    for (const { life, startedAt } of this.grants.keys()) {
      if (startedAt > time || life.is === 'lingering' || life.is === 'over') continue
      return [...this.requests.values()].find(({ since }) => since <= time)
    }
    return undefined
  }

  /** Whether someone else's session may keep a lease that nobody uses. */
  mayLinger({ session, reserve }: Holder): boolean {
    return reserve !== undefined && session !== this.#home.id
  }

  /** The record names a request as the holder. */
  #found(request: R, holder: Holder, now: number): Effects<R, G> {
    const { life } = request
    if (life.is !== 'queued') return []
    const { at, drift } = life.seen
    const confirm = holder.unconfirmed?.confirm ?? 0
    if (now >= at + confirm * fresh) return this.#confirm(request, holder.session, holder.token)
    return this.#start(request, holder, at, drift, at + confirm * usable)
  }

  #confirm(request: R, session: string, token: number): Effects<R, G> {
    if (request.life.is === 'queued') request.life = { ...request.life, is: 'confirming' }
    return [{ do: 'confirm', request, number: request.number, session, token }]
  }

  #start(request: R, grant: Granted, since: number, drift: number, until?: number): Effects<R, G> {
    this.#forget(request)
    const start = { do: 'start', request, grant, since, drift, ...(until !== undefined && { until }) } as const
    // A look that went out since may have shown who asks, and this answer be older.
    return grant.reserve !== undefined && until === undefined && this.lookedAt >= since ? [start, ...look] : [start]
  }

  #refuse(request: R, error?: LockError): Effects<R, G> {
    this.#forget(request)
    return [{ do: 'refuse', request, ...(error && { error }) }]
  }

  #rob(token: number, how: LossReason): Effects<R, G> {
    return [...this.grants.keys()].filter((grant) => grant.token === token).map((grant) => ({ do: 'lose', grant, how }))
  }

  /** A grant that meets the withdrawal on its way is not its own any more. */
  #takeBack(request: R): Effects<R, G> {
    const { number } = request
    this.#renumber(request)
    request.life = unsent
    return [{ do: 'letGo', number }]
  }

  /** Whether a request was granted, and that stands. */
  answers(number: number): boolean {
    for (const grant of this.grants.keys()) if (grant.number === number) return true
    return false
  }

  #letGo(number: number, token?: number): Effects<R, G> {
    return this.answers(number) ? [] : [{ do: 'letGo', number, token }]
  }

  #renumber(request: R): void {
    this.requests.delete(request.number)
    request.number = ++this.number
    this.requests.set(request.number, request)
  }

  #forget(request: R): void {
    this.requests.delete(request.number)
    request.life = over
  }
}

const look = [{ do: 'look' }] as const
const hint = [{ do: 'hint' }] as const
const wait = [{ do: 'wait' }] as const
