import { type Holder, type LockError, type LockView, type LossReason, requestsIn } from '../protocol/index.ts'
import { onAbort } from './abort.ts'
import { refusalOf } from './contention.ts'
import type { Effect } from './core/effects.ts'
import { type Answer, type Hinted, Key } from './core/key.ts'
import { type Request, unsent } from './core/request.ts'
import type { Hold } from './hold.ts'
import type { Home } from './home.ts'
import type { Lease } from './lease.ts'
import { Leases } from './leases.ts'
import { Looks } from './looks.ts'
import type { Past } from './past.ts'
import { isSlow } from './patience.ts'
import { isPlain, type Wish } from './wish.ts'

/** A request that somebody here waits for. */
interface Waiter extends Request {
  readonly wish: Wish
  /** The number under which it was sent last. */
  sentAs: number | undefined
  /** Each ends the wait, once. */
  give(hold: Hold | null): void
  fail(error: unknown): void
}

/** This session's line for one key: does what {@link Key} says, looks at the record, and keeps the leases. */
export class Line {
  readonly name: string
  readonly leases: Leases
  readonly #session: Home
  readonly #key: Key<Waiter, Lease>
  readonly looks: Looks
  /** Calls that have it in hand. */
  users = 0
  /** Whether its session has let go of it, being idle: what is still under way here concerns nobody. */
  retired = false

  /**
   * @param past what earlier lines for the key left behind
   * @param number is below all that its requests are numbered by
   */
  constructor(session: Home, key: string, name: string, past: Past | undefined, number: number) {
    this.#session = session
    this.#key = new Key(session.surroundings, key, number)
    this.name = name
    this.looks = new Looks(session, this.#key, this)
    this.leases = new Leases(
      session,
      this.#key.grants,
      past,
      () => this.#key.requests.size > 0 || this.view.queue.length > 0 || this.#key.asleep || session.hints.isWatched(key),
    )
  }

  get key(): string {
    return this.#key.key
  }

  /** Whether nobody holds or waits here, nor looks on. */
  get idle(): boolean {
    return !this.users && !this.#key.requests.size && !this.looks.watching && !this.leases.any()
  }

  get lastNumber(): number {
    return this.#key.number
  }

  /** The record as it was last seen. */
  get view(): LockView {
    return this.#key.view
  }

  /** Asks for the lock. `null` if the wish does not wait, and the lock is not available. */
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
      const settle = (): void => {
        if (!this.#key.requests.size) this.looks.restSoon()
        callOff?.()
        callOffGrace?.()
        stopListening()
      }
      const waiter: Waiter = {
        wish,
        number: 0,
        sentAs: undefined,
        life: unsent,
        impatient: false,
        robbed: undefined,
        since: Infinity,
        give: (hold) => {
          settle()
          if (!hold) this.#sawWithdrawal(waiter)
          resolve(hold)
        },
        fail: (error) => {
          settle()
          this.#sawWithdrawal(waiter)
          reject(error)
        },
      }
      const stopListening = onAbort(signal, () => this.#giveUp(waiter, signal?.reason))
      const callOff = timeout === undefined ? undefined : clock.after(timeout, () => this.#giveUp(waiter, this.refusal(timeout)))
      const callOffGrace = grace === undefined ? undefined : clock.after(grace, () => this.#carryOut(this.#key.grab(waiter)))
      this.#carryOut(this.#key.ask(waiter))
    })
  }

  #sawWithdrawal({ number }: Waiter): void {
    const { id, seen } = this.#session
    seen.tell({ type: 'withdrawn', key: this.key, session: id, number })
  }

  /** Ends a wait, if it has not ended. */
  #giveUp(waiter: Waiter, error: unknown): void {
    if (waiter.life.is === 'over') return
    this.#carryOut(this.#key.leave(waiter))
    waiter.fail(error)
  }

  /** Whether someone else's session may keep a lease that nobody uses, and nobody waits. */
  get onlyLingers(): boolean {
    const { queue, holders } = this.view
    return !queue.length && holders.some((holder) => this.#key.mayLinger(holder))
  }

  /** Why a wait of so many ms, or none, was in vain. */
  refusal(timeout = 0): LockError {
    const { holders } = this.view
    const name = JSON.stringify(this.name)
    return timeout
      ? refusalOf(this.#session, 'timeout', `${name} was not free within ${timeout} ms`, holders)
      : refusalOf(this.#session, 'held', `${name} is held or waited for`, holders)
  }

  #carryOut(effects: readonly Effect<Waiter, Lease>[]): void {
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
    const key = this.#key
    const again = (error: unknown): boolean => key.waits(waiter, number) && this.#asksAgain(waiter, error as LockError)
    try {
      const opening = session.open()
      if (opening) await opening
    } catch (error) {
      return this.#carryOut(key.unopened(waiter, number, error as LockError, again(error)))
    }
    const { id, client } = session
    const reserve = session.lingers && isPlain(waiter.wish) ? this.leases.reserve : undefined
    const command = key.command(waiter, number, client, reserve)
    if (!command || (session.isClosed && !key.waits(waiter, number))) return
    const { seen } = session
    if (seen.wants('asked')) seen.tell({ type: 'asked', key: this.key, session: id, number, before: waiter.sentAs, mode: waiter.wish.mode })
    waiter.sentAs = number
    let answer: Answer
    try {
      answer = await session.send(command)
    } catch (error) {
      return this.#carryOut(key.unanswered(waiter, number, error as LockError, again(error)))
    }
    this.#carryOut(key.answered(waiter, number, id, answer))
  }

  /** Whether a request that failed is made again, as a look is: if the store was only too slow. A wish that does not wait fails. */
  #asksAgain({ wish }: Waiter, error: LockError): boolean {
    return isSlow(error) && !wish.ifAvailable && !wish.ifNoQueue && this.looks.bears(error)
  }

  #confirm({ request, number, session, token }: Extract<Effect<Waiter, Lease>, { do: 'confirm' }>): void {
    this.#session.send({ type: 'renew', key: this.key, session, token }).then(
      (answer) => this.#carryOut(this.#key.confirmed(request, number, session, answer)),
      () => this.#carryOut(this.#key.unconfirmed(request, number)),
    )
  }

  #start({ request, grant, since, drift, until }: Extract<Effect<Waiter, Lease>, { do: 'start' }>): void {
    const { duration, manual, maxHold } = request.wish
    const terms = { name: this.name, key: this.key, duration, manual, since, drift, until, maxHold }
    const hold = this.leases.start(grant, request.wish, terms, this.#key.looks)
    if (request.robbed?.token === grant.token) this.#carryOut(this.#key.robbed(request.number, grant.token, request.robbed.how))
    if (hold) request.give(hold)
    else this.#carryOut(this.#key.ask(request))
  }

  #unstick(waiter: Waiter): void {
    const error = this.#session.waitsForItself(this)
    if (error) this.#giveUp(waiter, error)
  }

  #letGo(number: number, token: number | undefined): void {
    const { key, name } = this
    const { id: session } = this.#session
    const command = token === undefined ? ({ type: 'withdraw', key, session, number } as const) : ({ type: 'release', key, session, token } as const)
    this.#session.letGo(command, name).catch(() => {})
  }

  /** A command of this session's own granted the lock to one of its requests. */
  granted(holder: Holder, record: LockView, answer: Answer): void {
    this.#carryOut(this.#key.granted(holder, record, answer, this.#session.clock.monotonic()))
  }

  /** A command of this session's own took the grant of one of its requests. */
  robbed(number: number, token: number, how: LossReason): void {
    this.#carryOut(this.#key.robbed(number, token, how))
  }

  /** A hint says that a request of this line was granted. */
  hear(hinted: Hinted): void {
    this.#carryOut(this.#key.hinted(hinted, this.#session.clock.monotonic()))
  }

  /** Whether a request was granted, and still is. */
  answers(number: number): boolean {
    return this.#key.answers(number)
  }

  /** A look showed the record: see {@link Key.looked}. */
  looked(view: LockView, index: number, sent: number, drift: number, got: number): void {
    if (this.retired) return
    const { id, seen } = this.#session
    if (seen.wants('looked')) seen.tell({ type: 'looked', key: this.key, session: id, holders: view.holders.length, waiting: requestsIn(view.queue) })
    this.#carryOut(this.#key.looked(view, index, sent, drift, got))
    this.leases.tell(view)
  }

  /** Whether this session has held the lock, and waited for it, since before a time. */
  waitsForItself(time: number): boolean {
    return this.#key.stuckSince(time) !== undefined
  }

  /** Withdraws every request while the context sleeps, and sends them again when it wakes. */
  sleep(asleep: boolean): void {
    if (asleep === this.#key.asleep) return
    this.looks.sleep(asleep)
    if (asleep) {
      this.leases.dropIdle()
      this.#carryOut(this.#key.sleep())
    } else {
      this.#key.asleep = false
      if (!this.idle) this.looks.poke()
    }
  }

  /** Ends all waits. */
  giveUp(error: LockError): void {
    for (const waiter of [...this.#key.requests.values()]) this.#giveUp(waiter, error)
  }

  /** Ends all waits, and looks no more. */
  close(error: LockError): void {
    this.giveUp(error)
    this.looks.rest()
  }
}
