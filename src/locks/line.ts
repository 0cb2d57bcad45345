import { contradictionOf, type LockError, type LockView, requestsIn } from '../protocol/index.ts'
import { onAbort } from './abort.ts'
import { refusalOf } from './contention.ts'
import type { Effect } from './core/effects.ts'
import { Key } from './core/key.ts'
import type { Answer } from './core/known.ts'
import { isSlow } from './core/outage.ts'
import type { Hold } from './hold.ts'
import type { Home } from './home.ts'
import type { Lease } from './lease.ts'
import { Leases } from './leases.ts'
import { Looks } from './looks.ts'
import type { Past } from './past.ts'
import { Waiter } from './waiter.ts'
import { isPlain, type Wish } from './wish.ts'

/** This session's line for one key: does what {@link Key} says, looks at the record, and keeps the leases. */
export class Line {
  readonly name: string
  readonly leases: Leases
  readonly #session: Home
  /** Its requests, its grants and the record as it was last seen. Its methods are events: {@link Line.carryOut} does what they return. */
  readonly state: Key<Waiter, Lease>
  readonly looks: Looks
  /** How many calls use it. */
  users = 0
  /** Whether its session has dropped it while it was idle: a look that is still under way no longer matters. */
  retired = false

  /**
   * @param past what earlier lines for the key left behind
   * @param number a number below those of all its requests
   */
  constructor(session: Home, key: string, name: string, past: Past | undefined, number: number) {
    this.#session = session
    this.state = new Key(session.surroundings, key, number)
    this.name = name
    this.looks = new Looks(session, this.state, this)
    this.leases = new Leases(
      session,
      this.state.grants,
      past,
      () => this.state.requests.size > 0 || this.view.queue.length > 0 || this.state.asleep || session.hints.isWatched(key),
    )
  }

  get key(): string {
    return this.state.key
  }

  /** Whether it has no user, no request, no lease and no watch. */
  get idle(): boolean {
    return !this.users && !this.state.requests.size && !this.looks.watching && !this.leases.any()
  }

  /** The record as it was last seen. */
  get view(): LockView {
    return this.state.view
  }

  /** Requests the lock. Resolves with `null` if the wish does not wait, and the lock is not available. */
  ask(wish: Wish): Promise<Hold | null> {
    const { signal, timeout, grace } = wish
    if (signal?.aborted) return Promise.reject(signal.reason)
    const { clock, settings } = this.#session
    if (settings.linger) {
      const now = clock.monotonic()
      const again = this.leases.useAgain(wish, now)
      if (again) return clock.turn?.(now)?.then(() => again) ?? Promise.resolve(again)
    }
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(wish, resolve, reject, this.#over)
      if (signal) waiter.while(onAbort(signal, () => this.#giveUp(waiter, signal.reason)))
      if (timeout !== undefined) waiter.while(clock.after(timeout, () => this.#giveUp(waiter, this.refusal(timeout))))
      if (grace !== undefined) waiter.while(clock.after(grace, () => this.carryOut(this.state.grab(waiter))))
      this.carryOut(this.state.ask(waiter))
    })
  }

  readonly #over = ({ number }: Waiter, granted: boolean): void => {
    if (!this.state.requests.size) this.looks.restSoon()
    if (granted) return
    const { id, seen } = this.#session
    seen.tell({ type: 'withdrawn', key: this.key, session: id, number })
  }

  /** Ends a wait, if it has not ended. */
  #giveUp(waiter: Waiter, error: unknown): void {
    if (waiter.life.is === 'over') return
    this.carryOut(this.state.leave(waiter))
    waiter.fail(error)
  }

  /** Whether another session may hold the lock by a lease that only lingers, and no request waits. */
  get onlyLingers(): boolean {
    const { queue, holders } = this.view
    return !queue.length && holders.some((holder) => this.state.mayLinger(holder))
  }

  /** The error for a request that ended without the lock. @param timeout how long it waited, in ms; 0 if it did not wait */
  refusal(timeout = 0): LockError {
    const { holders } = this.view
    const name = JSON.stringify(this.name)
    return timeout
      ? refusalOf(this.#session, 'timeout', `${name} was not free within ${timeout} ms`, holders)
      : refusalOf(this.#session, 'held', `${name} is held or waited for`, holders)
  }

  /** Does what an event of {@link Line.state} asks for. */
  carryOut(effects: readonly Effect<Waiter, Lease>[]): void {
    for (const effect of effects) this.#do(effect)
  }

  #do(effect: Effect<Waiter, Lease>): void {
    switch (effect.do) {
      case 'send':
        this.#send(effect.request, effect.number)
        break
      case 'confirm':
        this.#confirm(effect)
        break
      case 'start':
        this.#start(effect)
        break
      case 'refuse':
        if (effect.error) effect.request.fail(effect.error)
        else effect.request.give(null)
        break
      case 'contradict':
        effect.request.fail(contradictionOf(this.name, effect.request.wish.limit, this.view))
        break
      case 'letGo':
        this.#letGo(effect.number, effect.token)
        break
      case 'lose':
        effect.grant.taken(effect.how)
        break
      case 'stuck':
        this.#unstick(effect.request)
        break
      case 'look':
        this.looks.poke()
        break
      case 'hint':
        this.#session.hints.sendAll(this.view)
        break
      case 'wait':
        this.looks.wait()
        break
      case 'end':
        this.#session.givenUp()
    }
  }

  async #send(waiter: Waiter, number: number): Promise<void> {
    const session = this.#session
    const { state } = this
    const again = (error: unknown): boolean => state.waits(waiter, number) && this.#asksAgain(waiter, error as LockError)
    try {
      const opening = session.open()
      if (opening) await opening
    } catch (error) {
      return this.carryOut(state.unopened(waiter, number, error as LockError, again(error)))
    }
    const { id, client } = session
    const reserve = session.lingers && isPlain(waiter.wish) ? this.leases.reserve : undefined
    const command = state.command(waiter, number, client, reserve)
    if (!command || (session.isClosed && !state.waits(waiter, number))) return
    const { seen } = session
    if (seen.wants('asked')) seen.tell({ type: 'asked', key: this.key, session: id, number, before: waiter.sentAs, mode: waiter.wish.mode })
    waiter.sentAs = number
    let answer: Answer
    try {
      answer = await session.send(command)
      const { outcome } = answer
      // The limit of dead holders and waiters must not keep the request out.
      const isKeptOut = outcome.type === 'refused' && outcome.reason === 'limit'
      if (isKeptOut && (await this.looks.endDead(outcome.record))) answer = await this.#session.send(command)
    } catch (error) {
      return this.carryOut(state.unanswered(waiter, number, error as LockError, again(error)))
    }
    this.carryOut(state.answered(waiter, number, id, answer))
  }

  /** Whether a failed request is sent again: only if the store was too slow to answer, and the wish waits. A look is repeated in the same case. */
  #asksAgain({ wish }: Waiter, error: LockError): boolean {
    return isSlow(error) && !wish.ifAvailable && !wish.ifNoQueue && this.looks.bears(error)
  }

  #confirm({ request, number, session, token }: Extract<Effect<Waiter, Lease>, { do: 'confirm' }>): void {
    this.#session.send({ type: 'renew', key: this.key, session, token }).then(
      (answer) => this.carryOut(this.state.confirmed(request, number, session, answer)),
      () => this.carryOut(this.state.unconfirmed(request, number)),
    )
  }

  #start({ request, grant, since, drift, until }: Extract<Effect<Waiter, Lease>, { do: 'start' }>): void {
    const { duration, manual, maxHold } = request.wish
    const terms = { name: this.name, key: this.key, duration, manual, since, drift, until, maxHold }
    const hold = this.leases.start(grant, request.wish, terms, this.state.looks)
    if (request.robbed?.token === grant.token) this.carryOut(this.state.robbed(request.number, grant.token, request.robbed.how))
    if (hold) request.give(hold)
    else this.carryOut(this.state.ask(request))
  }

  #unstick(waiter: Waiter): void {
    const error = this.#session.waitsForItself(this)
    if (error) this.#giveUp(waiter, error)
  }

  #letGo(number: number, token: number | undefined): void {
    const { key, name } = this
    const { id: session } = this.#session
    this.#session.letGo({ key, session, number, token }, name).catch(() => {})
  }

  /** A look showed the record: see {@link Key.looked}. */
  looked(view: LockView, index: number, sent: number, drift: number, got: number): void {
    if (this.retired) return
    const { id, seen } = this.#session
    if (seen.wants('looked')) seen.tell({ type: 'looked', key: this.key, session: id, holders: view.holders.length, waiting: requestsIn(view.queue) })
    this.carryOut(this.state.looked(view, index, sent, drift, got))
    this.leases.tell(view)
  }

  /** Withdraws every request while the context sleeps, and sends them again when it wakes. */
  sleep(asleep: boolean): void {
    if (asleep === this.state.asleep) return
    this.looks.sleep(asleep)
    if (asleep) {
      this.leases.dropIdle()
      this.carryOut(this.state.sleep())
    } else {
      this.state.asleep = false
      if (!this.idle) this.looks.poke()
    }
  }

  /** Ends all waits. */
  giveUp(error: LockError): void {
    for (const waiter of [...this.state.requests.values()]) this.#giveUp(waiter, error)
  }

  /** Ends all waits, and stops looking. */
  close(error: LockError): void {
    this.giveUp(error)
    this.looks.rest()
  }
}
