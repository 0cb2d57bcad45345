import { emptyRecord, type Holder, LockError, type LockView, type Policy } from '../protocol/index.ts'
import { tellAsked } from './asks.ts'
import { driftOf } from './clock.ts'
import { Hold } from './hold.ts'
import { type Grant, Lease, leaseFor } from './lease.ts'
import { Linger, reserved } from './linger.ts'
import { Lookout, looksEvery } from './lookout.ts'
import type { Reply } from './outbox.ts'
import type { Session } from './session.ts'
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
  /** The looks that had begun when it was queued: they need not show it. */
  queuedAfter: number
  /** Each ends the wait; only the first does anything. */
  give(hold: Hold | null): void
  fail(error: unknown): void
}

/** The shortest pause between two looks, in ms, for each place in line. */
const firstPause = 5
/** Of an unconfirmed lease, the share that a waiter may use before it has confirmed. */
const usable = 3 / 4

/** How long the holder of a lock that may only linger has to let go for one who wants it now, in ms. */
const moment = 100

/** This session's line for one key: its requests, its looks at the record, and its leases. */
export class Line {
  readonly key: string
  readonly name: string
  /** Its leases, each with the number of looks that had begun before it was known. */
  readonly #leases = new Map<Lease, number>()
  /** Whether someone else had the lock since a re-entrant lock was last told that it is clean. */
  dirty = false
  readonly #session: Session
  readonly #waiters = new Map<number, Waiter>()
  readonly #lookout: Lookout
  readonly #linger: Linger
  #number = 0
  /** The last token that this context used for the key, and the last that was reserved with it; 0 before the first. */
  #lastUsed = 0
  #lastToken = 0
  #view: LockView
  #looks = 0
  /** When the last look went out. */
  #lookedAt = -Infinity
  #doublings = 0
  /** The pause before the present look, in ms. */
  #paused = 0
  #polling = false
  #pollAgain = false
  #asleep = false
  #failingSince: number | undefined
  #callOff: (() => void) | undefined
  #resting: (() => void) | undefined

  constructor(session: Session, key: string, name: string) {
    this.#session = session
    this.key = key
    this.name = name
    this.#view = { ...emptyRecord(key), sessions: {} }
    this.#lookout = new Lookout(session, key, () => this.poke())
    this.#linger = new Linger(session)
  }

  get policy(): Policy {
    return this.#session.policy
  }

  /** The record as it was last seen. */
  get view(): LockView {
    return this.#view
  }

  /** Asks for the lock. `null` if it was wanted now or not at all, and is not to be had. */
  ask(wish: Wish): Promise<Hold | null> {
    const { signal, timeout } = wish
    if (signal?.aborted) return Promise.reject(signal.reason)
    const again = this.#useAgain(wish)
    if (again) return Promise.resolve(again)
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        if (!this.#waits(waiter, waiter.number)) return false
        this.#waiters.delete(waiter.number)
        if (!this.#waiters.size) this.#restSoon()
        callOff?.()
        callOffGrace?.()
        signal?.removeEventListener('abort', aborted)
        return true
      }
      const waiter: Waiter = {
        ...{ wish, number: 0, impatient: false, busy: false, seenAt: 0, drift: 0, seenToken: 0, queuedAfter: 0 },
        give: (hold) => settle() && resolve(hold),
        fail: (error) => {
          if (!settle()) return
          // A request that is under way is taken back when its reply is here.
          if (!waiter.busy) this.#withdraw(waiter.number)
          reject(error)
        },
      }
      const aborted = (): void => waiter.fail(signal?.reason)
      signal?.addEventListener('abort', aborted)
      const callOff = timeout === undefined ? undefined : this.#session.clock.after(timeout, () => waiter.fail(this.refusal(timeout)))
      const { grace } = wish
      const callOffGrace = grace === undefined ? undefined : this.#session.clock.after(grace, () => this.#grabNow(waiter))
      if (!this.#waiters.size) this.#doublings = 0
      this.#request(waiter)
    })
  }

  /** Asks for the lock as it is now: `null` if it is not to be had. A holder that may only linger is given a moment to let go. */
  async askNow(wish: Wish): Promise<Hold | null> {
    const hold = await this.ask({ ...wish, timeout: undefined, ifAvailable: true })
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
      ? new LockError('timeout', `${name} was not free within ${timeout} ms`, { holders })
      : new LockError('held', `${name} is held or waited for`, { holders })
  }

  /** Sends a waiter's request, under a new number. */
  async #request(waiter: Waiter): Promise<void> {
    const { mode, lease, metadata, ifAvailable, ask } = waiter.wish
    const steal = waiter.wish.steal && (ask === undefined || waiter.impatient)
    const session = this.#session
    this.#waiters.delete(waiter.number)
    const number = ++this.#number
    waiter.number = number
    waiter.busy = true
    this.#waiters.set(number, waiter)
    try {
      await session.open()
    } catch (error) {
      this.#refuse(waiter, error)
    }
    if (!this.#waits(waiter, number)) return
    const { key } = this
    const confirm = this.#confirmTime
    const { id, client } = session
    const reserve = session.lingers && isPlain(waiter.wish) ? reserved : undefined
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
        steal,
        ask,
      })
    } catch (error) {
      if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
      waiter.busy = false
      waiter.fail(error)
      return
    }
    if ('record' in reply.outcome) this.#view = reply.outcome.record
    if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
    waiter.busy = false
    if (id === session.id) this.#answered(waiter, reply)
    // What a session was given that has ended since went with it. The next look asks again.
    else this.poke()
  }

  /** Whether a waiter still waits under this number: not once it was served or gave up, nor once it asked anew. */
  #waits(waiter: Waiter, number: number): boolean {
    return this.#waiters.get(number) === waiter
  }

  #answered(waiter: Waiter, { outcome, sent, drift }: Reply): void {
    if (outcome.type === 'granted' && !outcome.repeated) this.#start(waiter, outcome.holder, sent, drift)
    else if (outcome.type === 'failed') this.#refuse(waiter, new LockError(outcome.code, outcome.message))
    else if (outcome.type === 'refused' && outcome.reason === 'busy') waiter.give(null)
    else if (outcome.type === 'refused') {
      // The session was given up while it slept. It held nothing, or its beat would have told; its waiters ask again under the next.
      this.#session.end('it was given up as dead')
    } else {
      Object.assign(waiter, { seenAt: sent, drift, seenToken: this.#view.token })
      waiter.queuedAfter = this.#looks
      if (waiter.impatient) this.#grabNow(waiter)
      else if (waiter.wish.ask !== undefined || this.#view.holders.some((holder) => this.#mayLinger(holder))) this.#session.hintAll(this.#view)
      if (this.#asleep) this.#takeBack(waiter)
      else this.#lookout.watch(this.#view)
      this.#sleep()
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

  /** Lets go of a grant or a place in the queue that nobody here waits for. */
  #letGoUnknown(number: number): void {
    for (const lease of this.#leases.keys()) if (lease.number === number) return
    this.#withdraw(number)
  }

  /** A command of this session's own granted the lock to one of its requests. */
  granted(holder: Holder, record: LockView, { sent, drift }: Reply): void {
    this.#view = record
    const waiter = this.#waiters.get(holder.number)
    if (!waiter) this.#letGoUnknown(holder.number)
    // What an operator's command grants is nobody's own: it has to be confirmed like another's, by the next look if it cannot be now.
    else if (!holder.unconfirmed) this.#start(waiter, holder, sent, drift)
    else if (!waiter.busy) this.#confirm(waiter, holder)
  }

  /** A command of this session's own took one of its leases. */
  robbed(token: number): void {
    for (const lease of this.#leases.keys()) if (lease.token === token) lease.taken()
  }

  #start(waiter: Waiter, grant: Grant, since: number, drift: number, until?: number): void {
    const { duration, manual, onReleaseRequested } = waiter.wish
    const dirty = grant.previous !== 0 && grant.previous !== this.#lastToken
    const previous = dirty ? grant.previous : this.#lastUsed
    if (dirty) this.dirty = true
    const lease = new Lease(this.#session, grant, { name: this.name, key: this.key, duration, manual, since, drift, until })
    this.#lastUsed = lease.token
    this.#lastToken = lease.lastToken
    this.#leases.set(lease, this.#looks)
    this.#session.heart.keep(lease)
    // A look that went out since may have shown who asks, and this reply be older.
    if (lease.lastToken > lease.token && until === undefined && this.#lookedAt >= since) this.poke()
    lease.expireIfDue()
    // Beats that went out while nobody here knew of it say nothing of it: it may have been evicted before them.
    if (until === undefined && this.#session.clock.monotonic() >= since + duration) lease.lose('the news of it came too late')
    // A grant whose news took as long as the lock lasts is worth nothing; ask again.
    if (lease.ended) this.#request(waiter)
    else waiter.give(new Hold(this, lease, { token: lease.token, previous, dirty, onReleaseRequested }))
  }

  /** A lingering lease, used once more. One that does not suit the wish is let go of: it would be in its way. */
  #useAgain(wish: Wish): Hold | undefined {
    if (!isPlain(wish)) this.#linger.drop()
    const lease = this.#linger.take()
    if (!lease) return undefined
    const token = ++lease.usedToken
    const previous = this.#lastUsed
    this.#lastUsed = token
    return new Hold(this, lease, { token, previous, dirty: false, onReleaseRequested: wish.onReleaseRequested })
  }

  /** A hold was released: its lease lingers if it may, else it goes back. */
  retire(lease: Lease): Promise<void> {
    const wanted = this.#waiters.size > 0 || this.#view.queue.length > 0
    const fresh = lease.usedToken < lease.lastToken && lease.leans && !lease.renewsItself
    if (wanted || !fresh || this.#asleep || !this.#session.lingers || !lease.stands()) return lease.release()
    this.#linger.keep(lease)
    return Promise.resolve()
  }

  /** A lease has ended. */
  forget(lease: Lease): void {
    this.#leases.delete(lease)
    this.#linger.forget(lease)
  }

  /** Lets go of a lease that only lingers. */
  dropIdle(): Promise<void> {
    return this.#linger.drop()
  }

  /** Whether the lease of this grant only lingers. */
  isIdle(token: number): boolean {
    return this.#linger.has(token)
  }

  /** The short lease of a grant that someone else's command makes, in ms: three pauses between looks. */
  get #confirmTime(): number {
    return Math.max(3 * this.#session.settings.maxBackoff, 500)
  }

  /**
   * Hears that a request of this line was granted. That is believed if a look at an earlier token still showed the request waiting: since
   * that look the grant stands for its confirm time at least, whoever tells of it. Anything else is a reason to look.
   */
  hear({ number, token, previous, reserve }: Pick<Grant, 'number' | 'token' | 'previous' | 'reserve'>): void {
    const waiter = this.#waiters.get(number)
    const { clock, id: session } = this.#session
    const until = waiter ? waiter.seenAt + this.#confirmTime * usable : 0
    if (waiter && !waiter.busy && token > waiter.seenToken && clock.monotonic() < until) {
      const { mode } = waiter.wish
      this.#start(waiter, { session, mode, number, token, previous, reserve, seq: -1 }, waiter.seenAt, waiter.drift, until)
    } else this.poke()
  }

  /** Looks at the record now: a hint came, or something here changed. */
  poke(): void {
    this.#callOff?.()
    this.#callOff = undefined
    if (this.#polling) this.#pollAgain = true
    else if (!this.#asleep) this.#poll()
  }

  async #poll(): Promise<void> {
    this.#polling = true
    do {
      this.#pollAgain = false
      try {
        await this.look(this.#session.settings.expiry === 'auto' && this.#waiters.size > 0)
        this.#failingSince = undefined
      } catch (error) {
        this.#lookFailed(error as LockError)
      }
    } while (this.#pollAgain)
    this.#polling = false
    this.#sleep()
  }

  /** A store that fails for as long as a lease, or for good, ends the waits. */
  #lookFailed(error: LockError): void {
    const now = this.#session.clock.monotonic()
    this.#failingSince ??= now
    const passing = error.code === 'store' && now - this.#failingSince < leaseFor(this.#session.settings.duration)
    if (!passing) for (const waiter of [...this.#waiters.values()]) waiter.fail(error)
  }

  /** Pauses before the next look, ever longer while nothing changes. */
  #sleep(): void {
    if (!this.#waiters.size || this.#callOff || this.#polling || this.#asleep) return
    const { clock, settings } = this.#session
    const pause = firstPause * (this.#lookout.ahead(this.#view).places + 1) * 2 ** this.#doublings++ * (0.75 + clock.random() / 2)
    this.#paused = Math.min(pause, settings.maxBackoff, looksEvery(this.#view))
    this.#callOff = clock.after(this.#paused, () => this.poke())
  }

  /** Nobody waits any more: stops looking. The watch goes on for a moment, since ending it would hold up who was just served. */
  #restSoon(): void {
    this.#callOff?.()
    this.#callOff = undefined
    const rest = (): void => {
      this.#resting = undefined
      if (!this.#waiters.size) this.#rest()
    }
    this.#resting ??= this.#session.clock.after(firstPause, rest, true)
  }

  #rest(): void {
    for (const callOff of [this.#callOff, this.#resting]) callOff?.()
    this.#callOff = this.#resting = undefined
    this.#lookout.rest()
  }

  /** Waits until it is time to look again at holders that are being observed, or rejects with the signal's reason. */
  pause(view: LockView, atMost: number, signal?: AbortSignal): Promise<void> {
    this.#paused = looksEvery(view)
    return within(this.#session.clock, new Promise(() => {}), Math.min(this.#paused, atMost), signal, () => undefined)
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
    const view = (await this.#session.read((store) => store.read(this.key))) ?? { ...emptyRecord(this.key), sessions: {} }
    if (view.token !== this.#view.token) this.#doublings = 0
    this.#view = view
    this.#findOwn(view, look, sent, drift)
    if (view.queue.length) this.#linger.drop()
    for (const { hold } of this.#leases.keys()) if (hold) tellAsked(hold, view, (listener) => this.#session.call(listener))
    if (this.#waiters.size && !this.#asleep) {
      this.#lookout.watch(view)
      const row = view.sessions[this.#session.id]
      if (row && row.challenged === row.seq) this.#session.beat().catch(() => {})
    }
    return { view, evicting: evict ? this.#lookout.evictSilent(view, sent, clock.monotonic(), this.#paused) : undefined }
  }

  /** Matches what the record says of this session with what this session knows. */
  #findOwn(view: LockView, look: number, sent: number, drift: number): void {
    const { id } = this.#session
    const granted = view.holders.filter(({ session }) => session === id)
    for (const [lease, after] of this.#leases) {
      if (after < look && !granted.some(({ token }) => token === lease.token)) lease.taken()
    }
    const found = new Set<number>()
    for (const holder of granted) {
      found.add(holder.number)
      const waiter = this.#waiters.get(holder.number)
      if (!waiter) this.#letGoUnknown(holder.number)
      else if (!waiter.busy) this.#confirm(waiter, holder)
    }
    for (const { session, from, to } of view.queue) {
      if (session !== id) continue
      for (let number = from; number <= to; number++) {
        found.add(number)
        const waiter = this.#waiters.get(number)
        // A look may have begun before the grant: what it shows as waiting may be held by now.
        if (!waiter) this.#letGoUnknown(number)
        else if (!waiter.busy && sent > waiter.seenAt) Object.assign(waiter, { seenAt: sent, drift, seenToken: view.token })
      }
    }
    // A waiter that the record does not know was dropped while it was silent, or its session ended: it asks anew.
    for (const waiter of [...this.#waiters.values()]) {
      if (!waiter.busy && !found.has(waiter.number) && waiter.queuedAfter < look) this.#request(waiter)
    }
  }

  /** A look showed that someone else's command granted the lock to this waiter. */
  #confirm(waiter: Waiter, holder: Holder): void {
    const { clock } = this.#session
    const until = waiter.seenAt + (holder.unconfirmed?.confirm ?? 0) * usable
    if (clock.monotonic() < until) {
      this.#start(waiter, holder, waiter.seenAt, waiter.drift, until)
      return
    }
    waiter.busy = true
    const { session, token, number } = holder
    this.#session.send({ type: 'renew', key: this.key, session, token }).then(
      ({ outcome, sent, drift }) => {
        if (!this.#waits(waiter, number)) return this.#letGoUnknown(number)
        waiter.busy = false
        if (outcome.type === 'renewed' && session === this.#session.id) this.#start(waiter, outcome.holder, sent, drift)
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
    if (waiter.busy || this.#asleep) return
    this.#withdraw(waiter.number)
    this.#request(waiter)
  }

  /** Takes every request back while the context sleeps, and asks again when it wakes. */
  sleep(asleep: boolean): void {
    // A page that is left may be frozen right after.
    if (asleep === this.#asleep) return
    this.#asleep = asleep
    if (asleep) {
      this.#rest()
      this.#linger.drop()
      for (const waiter of [...this.#waiters.values()]) if (!waiter.busy) this.#takeBack(waiter)
    } else this.poke()
  }

  /** Ends all waits. */
  close(error: LockError): void {
    for (const waiter of [...this.#waiters.values()]) waiter.fail(error)
    this.#rest()
  }
}
