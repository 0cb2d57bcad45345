import { type Command, type Holder, LockError, type LockView, type LossReason, limitOf, lossOf } from '../../protocol/index.ts'
import type { Effect, Effects } from './effects.ts'
import type { Grant, Granted } from './grant.ts'
import { type Answer, type Hinted, Known } from './known.ts'
import { asking, type Request, steals, unsent } from './request.ts'

/** The share of an unconfirmed lease that a waiter may use before the store has confirmed the grant (T1 in docs/time.md). */
const usable = 3 / 4
/** The share after which it waits for the confirmation first: its looks are late, and its confirmation may be, too. */
const fresh = 1 / 2

/**
 * The algorithm of waiting. Each method is an event of one key: it updates what the session knows of the key, and returns the effects to carry out.
 */
export class Key<R extends Request = Request, G extends Grant = Grant> extends Known<R, G> {
  /** A request is made, or sent again. */
  ask(request: R): Effects<R, G> {
    this.renumber(request)
    // The first look after the context wakes does not find the request in the record, and sends it.
    request.life = this.asleep ? unsent : asking
    return this.asleep ? [] : [{ do: 'send', request, number: request.number }]
  }

  /** The command of a request, now that its session is open; `undefined` if it need not be sent. */
  command(request: R, number: number, client: string, reserve: number | undefined): Command | undefined {
    const { key } = this
    const { mode, limit, lease, metadata, ifAvailable, ifNoQueue, ask } = request.wish
    const steal = steals(request)
    // A request with an ask is sent even if its caller has given up by now, so that the holders get the ask.
    if (!this.waits(request, number) && (ask === undefined || steal || this.asleep)) return undefined
    const { id: session, confirm } = this.home
    return { type: 'request', key, session, client, number, mode, limit, confirm, lease, metadata, reserve, ifAvailable, ifNoQueue, steal, ask }
  }

  /** A request's command was answered. @param session the session that sent it */
  answered(request: R, number: number, session: string, { outcome, sent, drift }: Answer): Effects<R, G> {
    if ('record' in outcome) this.view = outcome.record
    if (!this.waits(request, number)) {
      const token = outcome.type === 'granted' ? outcome.holder.token : undefined
      return [...(request.wish.ask === undefined ? [] : hint), ...this.#letGo(number, token)]
    }
    request.life = unsent
    // If that session has ended since, its grant or place ended with it. The next look sends the request again.
    if (session !== this.home.id) return look
    if (outcome.type === 'granted' && !outcome.repeated) return this.#start(request, outcome.holder, sent, drift)
    if (outcome.type === 'failed') return this.#refuse(request, new LockError(outcome.code, outcome.message))
    if (outcome.type === 'refused' && outcome.reason === 'busy') {
      this.refusedAt = sent
      return this.#refuse(request)
    }
    if (outcome.type === 'refused' && outcome.reason === 'limit') {
      this.forget(request)
      return [{ do: 'contradict', request }]
    }
    // Another session ended this one while it slept. It held nothing, or a beat would have shown its end. The next session sends its requests again.
    if (outcome.type === 'refused') return [{ do: 'end' }]
    request.life = { is: 'queued', seen: { at: sent, drift, token: this.view.token }, after: this.looks }
    request.since = Math.min(request.since, sent)
    if (request.impatient && !this.asleep) return [...this.grab(request), ...wait]
    const next = this.asleep ? this.#takeBack(request) : wait
    const asks = request.wish.ask !== undefined || this.view.holders.some((holder) => this.mayLinger(holder))
    return asks ? [...hint, ...next] : next
  }

  /** The session of a request could not be opened. @param again whether to send the request again, since the store was only too slow */
  unopened(request: R, number: number, error: LockError, again: boolean): Effects<R, G> {
    if (!this.waits(request, number)) return []
    return again ? this.ask(request) : this.#refuse(request, error)
  }

  /** A request's command failed, but the store may have carried it out. */
  unanswered(request: R, number: number, error: LockError, again: boolean): Effects<R, G> {
    const effects = this.unopened(request, number, error, again)
    return again ? effects : [...effects, ...this.#letGo(number)]
  }

  /** The caller of a request no longer waits. If the request is being sent, it is withdrawn when its answer arrives. */
  leave(request: R): Effects<R, G> {
    const { life, number } = request
    this.forget(request)
    return life.is === 'queued' ? [{ do: 'letGo', number }] : []
  }

  /** The grace of the holders that a request asked is over: the request steals the lock. */
  grab(request: R): Effects<R, G> {
    request.impatient = true
    const { life, number } = request
    if (this.asleep || !this.waits(request, number) || life.is === 'asking' || life.is === 'confirming') return []
    return [...(life.is === 'queued' ? [{ do: 'letGo', number } as const] : []), ...this.ask(request)]
  }

  /** A command of this session granted the lock to one of its requests. */
  granted(holder: Holder, record: LockView, { sent, drift }: Answer, now: number): Effects<R, G> {
    this.view = record
    const request = this.requests.get(holder.number)
    if (!request) return this.#letGo(holder.number, holder.token)
    // A grant by an operator's command must be confirmed, like one by another session's command: now or, if that is impossible, after the next look.
    return holder.unconfirmed ? this.#found(request, holder, now) : this.#start(request, holder, sent, drift)
  }

  /** A command of this session took a grant from one of its own requests. The answer with that grant may arrive later than this news. */
  robbed(number: number, token: number, how: LossReason): Effects<R, G> {
    const request = this.requests.get(number)
    if (request) request.robbed = { token, how }
    return request ? [] : this.#rob(token, how)
  }

  /**
   * A hint says that a request was granted. It counts only if a recent look at an earlier token still showed the request waiting: the grant then
   * lasts at least its confirm time from that look on (T1). If only sessions can send hints, the lock is used at once; otherwise the store has to
   * confirm the grant first. Any other hint is a reason to look.
   */
  hinted({ number, token, previous, reserve }: Hinted, now: number): Effects<R, G> {
    const request = this.requests.get(number)
    const { confirm, id: session, trusted } = this.home
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
    const { id, duration } = this.home
    const out: Effect<R, G>[] = []
    for (const [grant, after] of this.grants) {
      const isNamed = view.holders.some(({ session, token }) => session === grant.session && token === grant.token)
      if (after < index && !isNamed) out.push({ do: 'lose', grant, how: lossOf(view, grant.token) })
    }
    const found = new Set<number>()
    let holds = 0
    for (const holder of view.holders) {
      if (holder.session !== id) continue
      holds++
      found.add(holder.number)
      const request = this.requests.get(holder.number)
      out.push(...(request ? this.#found(request, holder, now) : this.#letGo(holder.number, holder.token)))
    }
    for (const { session, from, to } of view.queue) {
      if (session !== id) continue
      for (let number = from; number <= to; number++) {
        found.add(number)
        const request = this.requests.get(number)
        // The look may have begun before the grant: a request that it shows as waiting may hold the lock by now.
        if (!request) out.push(...this.#letGo(number))
        else if (request.life.is === 'queued' && sent > request.life.seen.at) {
          request.life = { ...request.life, seen: { at: sent, drift, token: view.token } }
          // The grace ended while the request confirmed a grant, and the confirmation failed.
          if (request.impatient) out.push(...this.grab(request))
        }
      }
    }
    const stuck = holds && holds >= (limitOf(view) ?? 1) && this.stuckSince(sent - duration)
    if (stuck) out.push({ do: 'stuck', request: stuck })
    // A request that is not in the record was dropped while it was silent, or its session has ended: it is sent again.
    for (const request of [...this.requests.values()]) {
      const { life, number } = request
      if (life.is === 'unsent' || (life.is === 'queued' && life.after < index && !found.has(number))) out.push(...this.ask(request))
    }
    return out
  }

  /** The store says whether a grant still stands. */
  confirmed(request: R, number: number, session: string, { outcome, sent, drift }: Answer): Effects<R, G> {
    if (!this.#unconfirmed(request, number)) return this.#letGo(number)
    // A forged hint may name a grant that answers another request of this session.
    const stands = outcome.type === 'renewed' && outcome.holder.number === number && session === this.home.id
    return stands ? this.#start(request, outcome.holder, sent, drift) : look
  }

  /** The store did not answer whether a grant still stands. The next look shows it. */
  unconfirmed(request: R, number: number): Effects<R, G> {
    return this.#unconfirmed(request, number) ? [] : this.#letGo(number)
  }

  #unconfirmed(request: R, number: number): boolean {
    if (!this.waits(request, number)) return false
    if (request.life.is === 'confirming') request.life = { ...request.life, is: 'queued' }
    return true
  }

  /** The context falls asleep (T8): all requests are withdrawn, and sent again when it wakes. A page that is left may be frozen right after. */
  sleep(): Effects<R, G> {
    this.asleep = true
    return [...this.requests.values()].flatMap((request) => (request.life.is === 'queued' ? this.#takeBack(request) : []))
  }

  /** queued → confirming or over (T1): the record names a request as the holder. */
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
    this.forget(request)
    const start = { do: 'start', request, grant, since, drift, ...(until !== undefined && { until }) } as const
    // A look that was sent later may already have shown requests that ask for the lock, so this answer may be outdated.
    return grant.reserve !== undefined && until === undefined && this.lookedAt >= since ? [start, ...look] : [start]
  }

  #refuse(request: R, error?: LockError): Effects<R, G> {
    this.forget(request)
    return [{ do: 'refuse', request, ...(error && { error }) }]
  }

  #rob(token: number, how: LossReason): Effects<R, G> {
    return [...this.grants.keys()].filter((grant) => grant.token === token).map((grant) => ({ do: 'lose', grant, how }))
  }

  /** Withdraws a request under its old number, so that a grant that crosses the withdrawal no longer belongs to it. */
  #takeBack(request: R): Effects<R, G> {
    const { number } = request
    this.renumber(request)
    request.life = unsent
    return [{ do: 'letGo', number }]
  }

  #letGo(number: number, token?: number): Effects<R, G> {
    return this.answers(number) ? [] : [{ do: 'letGo', number, token }]
  }
}

const look = [{ do: 'look' }] as const
const hint = [{ do: 'hint' }] as const
const wait = [{ do: 'wait' }] as const
