import { emptyRecord, type Holder, type Json, LockError, type LockView, type Mode } from '../protocol/index.ts'
import { driftOf } from './clock.ts'
import { Hold, leaseFor } from './hold.ts'
import { Lookout, looksEvery } from './lookout.ts'
import type { Reply } from './outbox.ts'
import type { Session } from './session.ts'
import type { ReleaseListener } from './types.ts'
import { within } from './within.ts'

/** What a caller wants of a lock, checked. */
export interface Wish {
  readonly mode: Mode
  /** In ms. */
  readonly duration: number
  /** A lease of the hold's own, in ms: its duration is not the session's, or its owner's code alone renews it. */
  readonly lease: number | undefined
  readonly manual: boolean
  readonly ifAvailable?: boolean | undefined
  readonly steal?: boolean | undefined
  readonly metadata?: Json | undefined
  readonly ask?: Json | undefined
  /** How long the holders that were asked may take, in ms, before the lock is stolen. */
  readonly grace?: number | undefined
  readonly onReleaseRequested?: ReleaseListener | undefined
  /** How long to wait, in ms. */
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiter {
  readonly wish: Wish
  number: number
  /** The holders that it asked to let go have had their time: it steals now. */
  impatient: boolean
  /** Its request, or the confirmation of its grant, is under way. */
  busy: boolean
  /** When the last look went out that still showed it waiting, and by how much the wall clock was ahead of the monotonic one then. */
  seenAt: number
  drift: number
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

/** This session's line for one key: its requests, its looks at the record, and its holds. */
export class Line {
  readonly key: string
  readonly name: string
  /** Its holds, each with the number of looks that had begun before it was known. */
  readonly holds = new Map<Hold, number>()
  /** Whether someone else had the lock since a re-entrant lock was last told that it is clean. */
  dirty = false
  readonly #session: Session
  readonly #waiters = new Map<number, Waiter>()
  readonly #lookout: Lookout
  #number = 0
  /** The last token that this context got for the key; 0 before the first. */
  #lastToken = 0
  #view: LockView
  #looks = 0
  #doublings = 0
  /** The pause before the present look, in ms. */
  #paused = 0
  #polling = false
  #pollAgain = false
  #asleep = false
  #failingSince: number | undefined
  #callOff: (() => void) | undefined

  constructor(session: Session, key: string, name: string) {
    this.#session = session
    this.key = key
    this.name = name
    this.#view = { ...emptyRecord(key), sessions: {} }
    this.#lookout = new Lookout(session, key, () => this.poke())
  }

  /** The record as it was last seen. */
  get view(): LockView {
    return this.#view
  }

  /** Asks for the lock. `null` if it was wanted now or not at all, and is not to be had. */
  ask(wish: Wish): Promise<Hold | null> {
    const { signal, timeout } = wish
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        if (!this.#waits(waiter, waiter.number)) return false
        this.#waiters.delete(waiter.number)
        if (!this.#waiters.size) this.#rest()
        callOff?.()
        callOffGrace?.()
        signal?.removeEventListener('abort', aborted)
        return true
      }
      const waiter: Waiter = {
        ...{ wish, number: 0, impatient: false, busy: false, seenAt: 0, drift: 0, queuedAfter: 0 },
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
    const confirm = Math.max(3 * session.settings.maxBackoff, 500)
    const { key } = this
    const { id, client } = session
    let reply: Reply
    try {
      reply = await session.send({ type: 'request', key, session: id, client, number, mode, confirm, lease, metadata, ifAvailable, steal, ask })
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
      waiter.seenAt = sent
      waiter.drift = drift
      waiter.queuedAfter = this.#looks
      if (waiter.impatient) this.#grabNow(waiter)
      else if (waiter.wish.ask !== undefined) this.#session.hintAll(this.#view)
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
    for (const hold of this.holds.keys()) if (hold.number === number) return
    this.#withdraw(number)
  }

  /** A command of this session's own granted the lock to one of its requests. */
  granted(holder: Holder, { sent, drift }: Reply): void {
    const waiter = this.#waiters.get(holder.number)
    if (!waiter) this.#letGoUnknown(holder.number)
    // What an operator's command grants is nobody's own: it has to be confirmed like another's, by the next look if it cannot be now.
    else if (!holder.unconfirmed) this.#start(waiter, holder, sent, drift)
    else if (!waiter.busy) this.#confirm(waiter, holder)
  }

  /** A command of this session's own took one of its holds. */
  robbed(token: number): void {
    for (const hold of this.holds.keys()) if (hold.token === token) hold.taken()
  }

  #start(waiter: Waiter, holder: Holder, since: number, drift: number, until?: number): void {
    const { duration, manual, onReleaseRequested } = waiter.wish
    const dirty = holder.previous !== 0 && holder.previous !== this.#lastToken
    this.#lastToken = holder.token
    if (dirty) this.dirty = true
    const hold = new Hold(this.#session, holder, { name: this.name, key: this.key, dirty, duration, manual, onReleaseRequested, since, drift, until })
    this.holds.set(hold, this.#looks)
    this.#session.heart.keep(hold)
    hold.expireIfDue()
    // Beats that went out while nobody here knew of it say nothing of it: it may have been evicted before them.
    if (until === undefined && this.#session.clock.monotonic() >= since + duration) hold.lose('the news of it came too late')
    // A grant whose news took as long as the lock lasts is worth nothing; ask again.
    if (hold.ended) this.#request(waiter)
    else waiter.give(hold)
    if (until !== undefined) this.#session.heart.renew(hold)
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

  #rest(): void {
    this.#callOff?.()
    this.#callOff = undefined
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
    const drift = driftOf(clock)
    const view = (await this.#session.read((store) => store.read(this.key))) ?? { ...emptyRecord(this.key), sessions: {} }
    if (view.token !== this.#view.token) this.#doublings = 0
    this.#view = view
    this.#findOwn(view, look, sent, drift)
    this.#heed(view)
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
    for (const [hold, after] of this.holds) {
      if (after < look && !granted.some(({ token }) => token === hold.token)) hold.taken()
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
        else if (!waiter.busy && sent > waiter.seenAt) Object.assign(waiter, { seenAt: sent, drift })
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

  /** Tells the holds here which requests ask for the lock, each once. */
  #heed({ queue, sessions }: LockView): void {
    for (const hold of this.holds.keys()) {
      const { onReleaseRequested } = hold
      if (!onReleaseRequested) continue
      const asking = queue.flatMap((run) =>
        run.ask === undefined ? [] : Array.from({ length: run.to - run.from + 1 }, (_, index) => ({ run, id: `${run.session} ${run.from + index}` })),
      )
      const unheard = asking.filter(({ id }) => !hold.heard.has(id))
      hold.heard = new Set(asking.map(({ id }) => id))
      for (const { run } of unheard) {
        const { mode, client: clientId, session, metadata, ask } = run
        const who = { name: this.name, mode, clientId, session, label: sessions[session]?.label, metadata }
        this.#session.call(() => onReleaseRequested(ask as Json, who))
      }
    }
  }

  /** Takes every request back while the context sleeps, and asks again when it wakes. */
  sleep(asleep: boolean): void {
    // A page that is left may be frozen right after.
    if (asleep === this.#asleep) return
    this.#asleep = asleep
    if (asleep) {
      this.#rest()
      for (const waiter of [...this.#waiters.values()]) if (!waiter.busy) this.#takeBack(waiter)
    } else this.poke()
  }

  /** Ends all waits. */
  close(error: LockError): void {
    for (const waiter of [...this.#waiters.values()]) waiter.fail(error)
  }
}
