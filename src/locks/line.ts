import { emptyView, type Holder, LockError, type LockView, type LossReason } from '../protocol/index.ts'
import { onAbort } from './abort.ts'
import { driftOf } from './clock.ts'
import { refusalOf } from './contention.ts'
import type { Granted } from './core/grant.ts'
import { Glimpse } from './glimpse.ts'
import type { Hold } from './hold.ts'
import type { Home } from './home.ts'
import { Leases } from './leases.ts'
import { Lookout, looksEvery } from './lookout.ts'
import type { Observer } from './observer.ts'
import type { Reply } from './outbox.ts'
import { firstPause, Pace } from './pace.ts'
import type { Past } from './past.ts'
import { isPlain, type Wish } from './wish.ts'
import { within } from './within.ts'

interface Waiter {
  readonly wish: Wish
  number: number
  /** The holders that it asked to let go have had their time: it steals now. */
  impatient: boolean
  /** Its request, or the confirmation of its grant, is under way. */
  busy: boolean
  /** When the last look went out that still showed it waiting, by how much the wall clock was ahead of the monotonic one then, and the record's token. */
  seenAt: number
  drift: number
  seenToken: number
  /** A grant that was taken away before it was known here. */
  robbed: { readonly token: number; readonly how: LossReason } | undefined
  /** When it first had a place in the queue. */
  since: number
  /** The looks that had begun when it was queued: they need not show it. */
  queuedAfter: number
  /** Each ends the wait; only the first does anything. */
  give(hold: Hold | null): void
  fail(error: unknown): void
}

/** Of an unconfirmed lease, the share that a waiter may use before it has confirmed. */
const usable = 3 / 4
/** Of the same, the share after which it confirms first: its looks come late, and so may its confirmation. */
const fresh = 1 / 2
/** How long the holder of a lock that may only linger has to let go for one who wants it now, in ms. */
const moment = 100

/** This session's line for one key: its requests, its looks at the record, and its leases. */
export class Line {
  readonly key: string
  readonly name: string
  readonly leases: Leases
  readonly #session: Home
  readonly #waiters = new Map<number, Waiter>()
  readonly #lookout: Lookout
  readonly #glimpse: Glimpse
  readonly #pace: Pace
  /** Calls that have it in hand. */
  users = 0
  /** Whether its session has let go of it, being idle: what is still under way here concerns nobody. */
  retired = false
  /** The last number that a request had. */
  #number: number
  #view: LockView
  #looks = 0
  /** When the last look went out. */
  #lookedAt = -Infinity
  /** How often it was poked. */
  pokes = 0
  /** Ends the pauses of those who look without a place in the queue. */
  readonly #pauses = new Set<() => void>()
  /** When the last request went out that was refused, since the lock was not free. */
  #refusedAt = 0
  /** Calls off the end of the watch. */
  #resting: (() => void) | undefined

  /**
   * @param past what earlier lines for the key left behind
   * @param number is below all that its requests are numbered by
   */
  constructor(session: Home, key: string, name: string, past: Past | undefined, number: number) {
    this.#session = session
    this.#number = number
    this.key = key
    this.name = name
    this.#view = emptyView(key)
    this.#lookout = new Lookout(session, key, () => this.poke())
    this.#glimpse = new Glimpse(session, key)
    this.#pace = new Pace(session, {
      any: () => this.#waiters.size > 0,
      look: () => this.look(session.settings.expiry === 'auto' && this.#waiters.size > 0),
      ahead: () => this.#lookout.ahead(this.#view).places,
      longest: () => this.#lookout.looksEvery(this.#view),
      giveUp: (error) => this.#failAll(error),
    })
    this.leases = new Leases(
      session,
      past,
      () => this.#waiters.size > 0 || this.#view.queue.length > 0 || this.#pace.asleep || session.isWatched(key),
    )
  }

  /** Whether nobody holds or waits here, nor looks on. */
  get idle(): boolean {
    return !this.users && !this.#waiters.size && !this.#resting && !this.leases.any()
  }

  /** What it has seen of those that stand before this session. */
  get observer(): Observer {
    return this.#lookout.observer
  }

  get lastNumber(): number {
    return this.#number
  }

  /** The record as it was last seen. */
  get view(): LockView {
    return this.#view
  }

  /** Waits for the lock for as long as it is wanted. Rejects with `held` where that is no time at all, and it is not to be had. */
  acquire(wish: Wish): Promise<Hold> {
    return wish.timeout === 0 || wish.ifNoQueue ? this.#acquireIf(wish) : (this.ask(wish) as Promise<Hold>)
  }

  async #acquireIf(wish: Wish): Promise<Hold> {
    const hold = await this.seek(wish)
    if (!hold) throw this.refusal()
    return hold
  }

  /** Waits for the lock for as long as it is wanted. `null` if that is no time at all, or depends on a queue that is not empty. */
  seek(wish: Wish): Promise<Hold | null> {
    const now = wish.timeout === 0 && !(wish.steal && wish.ask === undefined)
    return now ? this.askNow(wish) : wish.ifNoQueue ? this.#pounce(wish) : this.ask(wish)
  }

  /** Asks for the lock if nobody waits for it. Those that are proved dead do not count. */
  async #pounce(wish: Wish): Promise<Hold | null> {
    const session = this.#session
    const hold = await this.ask(wish)
    if (hold) return hold
    const view = await session.read((store) => store.read(this.key))
    const dead = await session.dead(view?.sessions.values() ?? [])
    await Promise.allSettled([...dead].map((id) => session.send({ type: 'end', session: id })))
    return dead.size ? this.ask(wish) : null
  }

  /** Asks for the lock. `null` if it was wanted now or not at all, and is not to be had. */
  ask(wish: Wish): Promise<Hold | null> {
    const { signal, timeout } = wish
    if (signal?.aborted) return Promise.reject(signal.reason)
    const { clock, settings } = this.#session
    if (settings.linger) {
      const now = clock.monotonic()
      const turn = clock.turn?.(now)
      if (turn) return turn.then(() => this.ask(wish))
      const again = this.leases.useAgain(wish, now)
      if (again) return Promise.resolve(again)
    }
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        if (!this.#waits(waiter, waiter.number)) return false
        this.#waiters.delete(waiter.number)
        if (!this.#waiters.size) this.#restSoon()
        callOff?.()
        callOffGrace?.()
        stopListening()
        return true
      }
      const waiter: Waiter = {
        wish,
        number: 0,
        impatient: false,
        busy: false,
        seenAt: 0,
        drift: 0,
        seenToken: 0,
        robbed: undefined,
        queuedAfter: 0,
        since: Infinity,
        give: (hold) => settle() && resolve(hold),
        fail: (error) => {
          if (!settle()) return
          // A request that is under way is taken back when its reply is here.
          if (!waiter.busy) this.#withdraw(waiter.number)
          reject(error)
        },
      }
      const stopListening = onAbort(signal, () => waiter.fail(signal?.reason))
      const callOff = timeout === undefined ? undefined : this.#session.clock.after(timeout, () => waiter.fail(this.refusal(timeout)))
      const { grace } = wish
      const callOffGrace = grace === undefined ? undefined : this.#session.clock.after(grace, () => this.#grabNow(waiter))
      if (!this.#waiters.size) this.#pace.begin()
      this.#request(waiter)
    })
  }

  /** Asks for the lock as it is now: `null` if it is not to be had. Those that are gone are not in its way; a holder that may only linger is given a moment to let go. */
  async askNow(wish: Wish): Promise<Hold | null> {
    const now: Wish = { ...wish, timeout: undefined, ifAvailable: true }
    let hold = await this.ask(now)
    if (!hold && (await this.#lookout.clearWay(this.#view, wish.mode, this.#refusedAt))) hold = await this.ask(now)
    const { queue, holders } = this.#view
    if (hold || queue.length || !holders.some((holder) => this.#mayLinger(holder))) return hold
    try {
      return await this.ask({ ...wish, timeout: moment, ifAvailable: false })
    } catch (error) {
      if ((error as LockError).code === 'timeout') return null
      throw error
    }
  }

  /** Whether someone else's session may keep a lease that nobody uses. */
  #mayLinger({ session, reserve }: Holder): boolean {
    return reserve !== undefined && session !== this.#session.id
  }

  /** Why a wait of so many ms, or none, was in vain. */
  refusal(timeout = 0): LockError {
    const { holders } = this.#view
    const name = JSON.stringify(this.name)
    return timeout
      ? refusalOf(this.#session, 'timeout', `${name} was not free within ${timeout} ms`, holders)
      : refusalOf(this.#session, 'held', `${name} is held or waited for`, holders)
  }

  /** Sends a waiter's request, under a new number. */
  async #request(waiter: Waiter): Promise<void> {
    const { mode, lease, metadata, ifAvailable, ifNoQueue, ask } = waiter.wish
    const steal = waiter.wish.steal && (ask === undefined || waiter.impatient)
    const session = this.#session
    this.#waiters.delete(waiter.number)
    const number = ++this.#number
    waiter.number = number
    this.#waiters.set(number, waiter)
    // The look with which the context wakes does not find it in the record.
    if (this.#pace.asleep) return
    waiter.busy = true
    try {
      await session.open()
    } catch (error) {
      if (this.#waits(waiter, number) && this.#asksAgain(waiter, error)) this.#request(waiter)
      else this.#refuse(waiter, error)
      return
    }
    // Also whoever has given up by now has its say with the holders.
    if (!this.#waits(waiter, number) && (ask === undefined || steal || session.isClosed || this.#pace.asleep)) return
    const { key } = this
    const confirm = this.#confirmTime
    const { id, client } = session
    const reserve = session.lingers && isPlain(waiter.wish) ? this.leases.reserve : undefined
    let reply: Reply
    try {
      reply = await session.send({
        type: 'request',
        key,
        session: id,
        client,
        number,
        mode,
        confirm,
        lease,
        metadata,
        reserve,
        ifAvailable,
        ifNoQueue,
        steal,
        ask,
      })
    } catch (error) {
      if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
      waiter.busy = false
      if (this.#asksAgain(waiter, error)) this.#request(waiter)
      else waiter.fail(error)
      return
    }
    if ('record' in reply.outcome) this.#view = reply.outcome.record
    if (!this.#waits(waiter, number)) {
      if (ask !== undefined) session.hintAll(this.#view)
      return this.#letGoUnknown(number, reply.outcome.type === 'granted' ? reply.outcome.holder.token : undefined)
    }
    waiter.busy = false
    if (id === session.id) this.#answered(waiter, reply)
    // What a session was given that has ended since went with it. The next look asks again.
    else this.poke()
  }

  /** Whether a request that failed is made again, as a look is: where the store was only too slow. Who wants the lock at once is told. */
  #asksAgain({ wish }: Waiter, error: unknown): boolean {
    const isSlow = ((error as Error).cause as Error | undefined)?.name === 'TimeoutError'
    return isSlow && !wish.ifAvailable && !wish.ifNoQueue && this.#pace.bears(error as LockError)
  }

  /** Whether a waiter still waits under this number: not once it was served or gave up, nor once it asked anew. */
  #waits(waiter: Waiter, number: number): boolean {
    return this.#waiters.get(number) === waiter
  }

  #answered(waiter: Waiter, { outcome, sent, drift }: Reply): void {
    if (outcome.type === 'granted' && !outcome.repeated) this.#start(waiter, outcome.holder, sent, drift)
    else if (outcome.type === 'failed') this.#refuse(waiter, new LockError(outcome.code, outcome.message))
    else if (outcome.type === 'refused' && outcome.reason === 'busy') {
      this.#refusedAt = sent
      waiter.give(null)
    } else if (outcome.type === 'refused') {
      // The session was given up while it slept. It held nothing, or its beat would have told; its waiters ask again under the next.
      this.#session.givenUp()
    } else {
      Object.assign(waiter, { seenAt: sent, drift, seenToken: this.#view.token, since: Math.min(waiter.since, sent) })
      waiter.queuedAfter = this.#looks
      if (waiter.impatient) this.#grabNow(waiter)
      else if (waiter.wish.ask !== undefined || this.#view.holders.some((holder) => this.#mayLinger(holder))) this.#session.hintAll(this.#view)
      if (this.#pace.asleep) this.#takeBack(waiter)
      else this.#lookout.watch(this.#view)
      this.#pace.pause()
    }
  }

  /** The store knows nothing of the request: there is nothing to take back. */
  #refuse(waiter: Waiter, error: unknown): void {
    waiter.busy = true
    waiter.fail(error)
  }

  /** Withdraws a waiter's request. A grant that meets it on its way is not its own any more; it asks anew after the next look. */
  #takeBack(waiter: Waiter): void {
    this.#withdraw(waiter.number)
    this.#waiters.delete(waiter.number)
    waiter.number = ++this.#number
    this.#waiters.set(waiter.number, waiter)
  }

  #withdraw(number: number): void {
    const { id } = this.#session
    this.#session.letGo({ type: 'withdraw', key: this.key, session: id, number }, this.name).catch(() => {})
  }

  /** Nobody here waits for this request any more: lets go of its grant, where its token is known, or of whatever became of it. */
  #letGoUnknown(number: number, token?: number): void {
    if (this.leases.answers(number)) return
    const { id: session } = this.#session
    if (token === undefined) this.#withdraw(number)
    else this.#session.letGo({ type: 'release', key: this.key, session, token }, this.name).catch(() => {})
  }

  /** A command of this session's own granted the lock to one of its requests. */
  granted(holder: Holder, record: LockView, { sent, drift }: Reply): void {
    this.#view = record
    const waiter = this.#waiters.get(holder.number)
    if (!waiter) this.#letGoUnknown(holder.number, holder.token)
    // What an operator's command grants is nobody's own: it has to be confirmed like another's, by the next look if it cannot be now.
    else if (!holder.unconfirmed) this.#start(waiter, holder, sent, drift)
    else if (!waiter.busy) this.#confirm(waiter, holder)
  }

  #start(waiter: Waiter, grant: Granted, since: number, drift: number, until?: number): void {
    const { duration, manual, maxHold } = waiter.wish
    const terms = { name: this.name, key: this.key, duration, manual, since, drift, until, maxHold }
    const hold = this.leases.start(grant, waiter.wish, terms, this.#looks)
    // A look that went out since may have shown who asks, and this reply be older.
    if (grant.reserve !== undefined && until === undefined && this.#lookedAt >= since) this.poke()
    if (waiter.robbed?.token === grant.token) this.leases.robbed(grant.token, waiter.robbed.how)
    if (hold) waiter.give(hold)
    else this.#request(waiter)
  }

  /** A command of this session's own took the grant of one of its requests. The reply that tells of that grant may come after this news. */
  robbed(number: number, token: number, how: LossReason): void {
    const waiter = this.#waiters.get(number)
    if (waiter) waiter.robbed = { token, how }
    else this.leases.robbed(token, how)
  }

  /** The short lease of a grant that someone else's command makes, in ms: three pauses between looks. */
  get #confirmTime(): number {
    return Math.max(3 * this.#session.settings.maxBackoff, 500)
  }

  /**
   * Hears that a request of this line was granted. Where strangers cannot say so, that is believed if a look at an earlier token still
   * showed the request waiting: since that look the grant stands for its confirm time at least. Where they can, the store has to confirm it
   * first. Anything else is a reason to look.
   */
  hear({ number, token, previous, reserve }: Pick<Granted, 'number' | 'token' | 'previous' | 'reserve'>): void {
    const waiter = this.#waiters.get(number)
    const { clock, id: session, settings } = this.#session
    const confirm = this.#confirmTime
    const until = waiter ? waiter.seenAt + confirm * usable : 0
    const tooLate = waiter ? waiter.seenAt + confirm * fresh : 0
    if (!waiter || waiter.busy || token <= waiter.seenToken || clock.monotonic() >= tooLate) this.poke()
    else if (settings.store.channel?.trusted) {
      const { mode } = waiter.wish
      this.#start(waiter, { session, mode, number, token, previous, reserve, seq: -1 }, waiter.seenAt, waiter.drift, until)
    } else this.#renew(waiter, { session, number, token })
  }

  /** Looks at the record now: a hint came, or something here changed. */
  poke(): void {
    this.pokes += 1
    for (const end of this.#pauses) end()
    this.#glimpse.forget()
    this.#pace.poke()
  }

  /** Nobody waits any more: stops looking. The watch goes on for a moment, since ending it would hold up who was just served. */
  #restSoon(): void {
    this.#pace.stop()
    const rest = (): void => {
      this.#resting = undefined
      if (!this.#waiters.size) this.#rest()
    }
    this.#resting ??= this.#session.clock.after(firstPause, rest, true)
  }

  #rest(): void {
    this.#pace.stop()
    this.#resting?.()
    this.#resting = undefined
    this.#lookout.rest()
    this.#session.settle(this)
  }

  /** Ends the holders, and those before a last in line, that are proved dead. @returns whether there were any */
  endDead(view: LockView): Promise<boolean> {
    return this.#lookout.endDead(view, 'exclusive')
  }

  /**
   * Waits until it is time to look again at holders that are being observed, or rejects with the signal's reason.
   * @param pokes how often the line had been poked before the last look
   * @returns whether it was poked since
   */
  async pause(view: LockView, atMost: number, signal?: AbortSignal, pokes = this.pokes): Promise<boolean> {
    // A record without holders says nothing of how often to look, so a look may count for the pause that is really made.
    this.#pace.paused = Math.min(looksEvery(view), atMost)
    if (pokes !== this.pokes) return true
    let end = (): void => {}
    const poked = new Promise<boolean>((resolve) => {
      end = () => resolve(true)
    })
    this.#pauses.add(end)
    const over = within(this.#session.clock, poked, this.#pace.paused, signal, () => false)
    return await over.finally(() => this.#pauses.delete(end))
  }

  /**
   * Looks at the record and acts on what it shows; with `evict`, also on holders that have been silent for their lease.
   * @returns what it saw, and the evictions under way
   */
  async look(evict = false): Promise<{ view: LockView; evicting: Promise<unknown> | undefined }> {
    const { clock } = this.#session
    const look = ++this.#looks
    const sent = clock.monotonic()
    this.#lookedAt = sent
    const drift = driftOf(clock)
    const { pokes } = this
    const before = this.#view
    const glimpsed = evict ? await this.#glimpse.look(before, this.#lookout.ahead(before), sent) : undefined
    const view = glimpsed ?? (await this.#session.read((store) => store.read(this.key, this.#session.id), true)) ?? emptyView(this.key)
    if (!glimpsed) {
      const moved = view.token !== this.#view.token
      this.#glimpse.saw(view, this.#view, sent)
      // What that was about may be newer than what was read.
      if (pokes !== this.pokes) this.#glimpse.forget()
      this.#view = view
      if (moved) this.#pace.restart()
      this.#findOwn(view, look, sent, drift)
    } else if (this.#view === before) this.#view = view
    if (view.queue.length) this.leases.dropIdle()
    if (this.#waiters.size && !this.#pace.asleep) {
      this.#lookout.watch(view)
      const row = view.sessions.get(this.#session.id)
      if (row && row.challenged === row.seq) this.#session.beat().catch(() => {})
    }
    const evicting = evict ? this.#lookout.evictSilent(view, sent, clock.monotonic(), this.#pace.paused) : undefined
    // What is refused shows that more has changed.
    if (evicting) this.#glimpse.forget()
    return { view, evicting }
  }

  /** Matches what the record says of this session with what this session knows. */
  #findOwn(view: LockView, look: number, sent: number, drift: number): void {
    if (this.retired) return
    const { id } = this.#session
    const granted = view.holders.filter(({ session }) => session === id)
    this.leases.compare(view, look)
    const found = new Set<number>()
    for (const holder of granted) {
      found.add(holder.number)
      const waiter = this.#waiters.get(holder.number)
      if (!waiter) this.#letGoUnknown(holder.number, holder.token)
      else if (!waiter.busy) this.#confirm(waiter, holder)
    }
    for (const { session, from, to } of view.queue) {
      if (session !== id) continue
      for (let number = from; number <= to; number++) {
        found.add(number)
        const waiter = this.#waiters.get(number)
        // A look may have begun before the grant: what it shows as waiting may be held by now.
        if (!waiter) this.#letGoUnknown(number)
        else if (!waiter.busy && sent > waiter.seenAt) {
          Object.assign(waiter, { seenAt: sent, drift, seenToken: view.token })
          // Its grace ended while it confirmed a grant, which was in vain.
          if (waiter.impatient) this.#grabNow(waiter)
        }
      }
    }
    const stuck = granted.length ? this.#stuck(sent - this.#session.settings.duration) : undefined
    if (stuck) {
      const error = this.#session.waitsForItself(this)
      if (error) stuck.fail(error)
    }
    // A waiter that the record does not know was dropped while it was silent, or its session ended: it asks anew.
    for (const waiter of [...this.#waiters.values()]) {
      if (!waiter.busy && !found.has(waiter.number) && waiter.queuedAfter < look) this.#request(waiter)
    }
  }

  /** One that waits since before a time, and a hold of this session's own stands as long. */
  #stuck(time: number): Waiter | undefined {
    return this.leases.heldSince(time) ? [...this.#waiters.values()].find(({ since }) => since <= time) : undefined
  }

  /** Whether this session both holds the lock and waits for it. */
  waitsForItself(now: number): boolean {
    return this.#stuck(now) !== undefined
  }

  /** A look showed that someone else's command granted the lock to this waiter. */
  #confirm(waiter: Waiter, holder: Holder): void {
    const { clock } = this.#session
    const confirm = holder.unconfirmed?.confirm ?? 0
    const until = waiter.seenAt + confirm * usable
    if (clock.monotonic() < waiter.seenAt + confirm * fresh) {
      this.#start(waiter, holder, waiter.seenAt, waiter.drift, until)
      return
    }
    this.#renew(waiter, holder)
  }

  /** Starts with a grant once the store has confirmed that it stands. */
  #renew(waiter: Waiter, { session, token, number }: Pick<Holder, 'session' | 'token' | 'number'>): void {
    waiter.busy = true
    this.#session.send({ type: 'renew', key: this.key, session, token }).then(
      ({ outcome, sent, drift }) => {
        if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
        waiter.busy = false
        // A forged hint may name a grant that answers another request of this session.
        if (outcome.type === 'renewed' && outcome.holder.number === number && session === this.#session.id)
          this.#start(waiter, outcome.holder, sent, drift)
        else this.poke()
      },
      () => {
        if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
        // The next look shows what became of it.
        waiter.busy = false
      },
    )
  }

  /** The time of those who were asked is over. */
  #grabNow(waiter: Waiter): void {
    waiter.impatient = true
    if (waiter.busy || this.#pace.asleep) return
    this.#withdraw(waiter.number)
    this.#request(waiter)
  }

  /** Takes every request back while the context sleeps, and asks again when it wakes. */
  sleep(asleep: boolean): void {
    // A page that is left may be frozen right after.
    if (asleep === this.#pace.asleep) return
    this.#pace.asleep = asleep
    if (asleep) {
      this.#rest()
      this.leases.dropIdle()
      for (const waiter of [...this.#waiters.values()]) if (!waiter.busy) this.#takeBack(waiter)
    } else if (!this.idle) this.poke()
  }

  #failAll(error: LockError): void {
    for (const waiter of [...this.#waiters.values()]) waiter.fail(error)
  }

  /** Ends all waits. */
  close(error: LockError): void {
    this.#failAll(error)
    this.#rest()
  }
}
