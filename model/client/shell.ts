import type { Effect } from '../../src/locks/core/effects.ts'
import { type End, lost, released } from '../../src/locks/core/ends.ts'
import type { Grant } from '../../src/locks/core/grant.ts'
import { type LetGo, letGo, stillStands } from '../../src/locks/core/known.ts'
import { unsent } from '../../src/locks/core/request.ts'
import { onSilence } from '../../src/locks/core/silence.ts'
import { type Command, type Holder, LockError, type Outcome } from '../../src/protocol/index.ts'
import { type Answered, type Asked, key, lookAt, newGrant, type Parts, type Purpose, type Seat, times, type World } from './world.ts'

/** The pause between two looks of a waiter, in ticks. It is so long that each look counts for all the time since the last. */
const pause = 1_000

const failed = new LockError('store', 'the store failed')

/** Carries out a client core's effects in the model's world, as `locks/` does with promises and timers. */
export class Shell {
  readonly #parts: Parts
  readonly #world: World
  readonly #index: number

  constructor(parts: Parts, world: World, index: number) {
    this.#parts = parts
    this.#world = world
    this.#index = index
  }

  get seat(): Seat {
    return this.#world.seats[this.#index] as Seat
  }

  ask(how: Asked['wish']): void {
    const { seat } = this
    const wish = { ...how, limit: this.#world.limit }
    seat.asked++
    const request: Asked = { id: seat.asked, wish, number: 0, life: unsent, impatient: false, robbed: undefined, since: Infinity }
    this.#do(seat.key.ask(request))
  }

  /** Cancels every wait. */
  giveUp(): void {
    for (const request of [...this.seat.key.requests.values()]) this.#do(this.seat.key.leave(request))
  }

  release(): void {
    for (const grant of [...this.seat.key.grants.keys()]) this.#end(grant, released)
  }

  /** Ends all grants that are past their deadline, as a timer would. */
  expireDue(): void {
    for (const grant of [...this.seat.key.grants.keys()]) {
      const end = grant.lapse(this.#world.now)
      if (end) this.#end(grant, end)
    }
  }

  beat(): void {
    const { id } = this.seat
    this.seat.beaten++
    this.#send({ type: 'beat', session: id, client: id, lease: times.lease }, { for: 'beat' })
  }

  /** Confirms unconfirmed grants, and renews grants that have their own lease. */
  renew(): void {
    for (const grant of this.seat.key.grants.keys()) {
      const { token } = grant
      if (grant.renewsItself) this.#send({ type: 'renew', key, session: this.seat.id, token }, { for: 'renewal', token })
    }
  }

  look(): void {
    const { items, now } = this.#world
    const { seat } = this
    seat.again = this.isLooking
    if (!seat.again) items.push({ is: 'look', fresh: true, seat: this.#index, index: seat.key.begin(now), sent: now, view: lookAt(this.#world) })
  }

  get isLooking(): boolean {
    return this.#world.items.some((item) => item.is === 'look' && item.seat === this.#index)
  }

  looked({ index, sent, view }: { readonly index: number; readonly sent: number; readonly view: ReturnType<typeof lookAt> }): void {
    const { now } = this.#world
    const { seat } = this
    this.#do(seat.key.looked(view, index, sent, 0, now))
    if (seat.key.requests.size)
      for (const command of onSilence(seat.observer, seat.id, { view, sent, got: now, pause, maxBackoff: times.maxBackoff }))
        this.#send(command, { for: 'others' })
    if (seat.again) this.look()
  }

  hear(grant: Holder | undefined): void {
    if (grant) this.#do(this.seat.key.hinted(grant, this.#world.now))
    else this.look()
  }

  /** Acts on the proof that a session in front is dead. */
  bury(dead: Seat): void {
    const token = this.#world.record?.holders.find(({ session }) => session === dead.id)?.token ?? 0
    this.#send({ type: 'end', session: dead.id }, { for: 'others' })
    this.#send({ type: 'expire', key, session: this.seat.id, evidence: { token, seq: undefined } }, { for: 'others' })
  }

  answered(answer: Answered): void {
    const { command, outcome, purpose, sent } = this.#parts.answer(this.seat, answer, this.#world.now)
    if (outcome) this.#arrived(outcome, sent)
    const reply = outcome && { outcome, sent, drift: 0 }
    const { seat } = this
    switch (purpose.for) {
      case 'request': {
        const request = this.#named(purpose.request)
        this.#do(reply ? seat.key.answered(request, purpose.number, seat.id, reply) : seat.key.unanswered(request, purpose.number, failed, false))
        break
      }
      case 'confirm': {
        const request = this.#named(purpose.request)
        this.#do(reply ? seat.key.confirmed(request, purpose.number, seat.id, reply) : seat.key.unconfirmed(request, purpose.number))
        break
      }
      case 'renewal':
        this.#renewed(purpose.token, outcome, sent)
        break
      case 'beat':
        if (outcome?.type === 'beaten') this.#beaten(outcome, sent)
        break
      case 'letGo':
        if (!outcome) this.#send(command, purpose)
        else if (stillStands(outcome, purpose.what)) this.#letGo({ ...purpose.what, token: undefined })
    }
  }

  /** The request of this name, or, if nothing waits for it any more, one that is over. */
  #named(id: number): Asked {
    const gone: Asked = { id, wish: { mode: 'exclusive' }, number: 0, life: { is: 'over' }, impatient: false, robbed: undefined, since: 0 }
    return [...this.seat.key.requests.values()].find((request) => request.id === id) ?? gone
  }

  /** Tells all clients, this one too, about grants and evictions in an outcome. */
  #arrived(outcome: Outcome, sent: number): void {
    if (!('grants' in outcome)) return
    const { key: core, id } = this.seat
    const answer = { outcome, sent, drift: 0 }
    for (const holder of outcome.grants) {
      if (holder.session === id) this.#do(core.granted(holder, outcome.record, answer, this.#world.now))
      else this.#hint(holder.session, holder)
    }
    for (const { session, number, token } of outcome.evicted) {
      if (session === id) this.#do(core.robbed(number, token, 'expired'))
      else this.#hint(session, undefined)
    }
  }

  #hint(session: string, grant: Holder | undefined): void {
    const seat = this.#world.seats.findIndex(({ id, alive }) => alive && id === session)
    if (seat >= 0) this.#world.items.push({ is: 'hint', fresh: true, seat, grant })
  }

  #renewed(token: number, outcome: Outcome | undefined, sent: number): void {
    // An answer that arrives after the deadline does not revive the lock.
    this.expireDue()
    const grant = [...this.seat.key.grants.keys()].find((each) => each.token === token)
    if (!grant || !outcome) return
    if (outcome.type === 'renewed') grant.renewed(sent, 0, outcome.holder.seq)
    else this.#end(grant, lost('ended'))
  }

  #beaten({ session }: Extract<Outcome, { type: 'beaten' }>, sent: number): void {
    this.expireDue()
    const { beats } = this.seat
    const news = beats.news(session)
    // A look tells which locks were taken. Here it is answered at once, which is one of the possible timings.
    if (news.taken) this.looked({ index: this.seat.key.begin(this.#world.now), sent: this.#world.now, view: lookAt(this.#world) })
    beats.count(session, sent, 0)
  }

  #do(effects: readonly Effect<Asked, Grant>[]): void {
    const { seat } = this
    for (const effect of effects) {
      switch (effect.do) {
        case 'send': {
          const command = seat.key.command(effect.request, effect.number, seat.id, undefined)
          if (command) this.#send(command, { for: 'request', request: effect.request.id, number: effect.number })
          break
        }
        case 'confirm': {
          const { request, number, session, token } = effect
          this.#send({ type: 'renew', key, session, token }, { for: 'confirm', request: request.id, number })
          break
        }
        case 'start':
          this.#start(effect)
          break
        case 'letGo':
          this.#letGo({ key, session: seat.id, number: effect.number, token: effect.token })
          break
        case 'lose':
          this.expireDue()
          this.#end(effect.grant, lost(effect.how))
          break
        case 'look':
          this.look()
      }
    }
  }

  #start({ request, grant: granted, since, drift, until }: Extract<Effect<Asked, Grant>, { do: 'start' }>): void {
    const { seat } = this
    const { now } = this.#world
    const { duration } = times
    const grant = newGrant(this.#parts, seat, granted, { name: key, key, duration, since, drift, until }, now)
    seat.key.grants.set(grant, seat.key.looks)
    const late = grant.lapse(now) ?? (until === undefined && now >= since + duration ? lost('expired') : undefined)
    if (late) this.#end(grant, late)
    else this.#use(grant)
    if (request.robbed?.token === grant.token) this.#do(seat.key.robbed(request.number, grant.token, request.robbed.how))
    if (late) this.#do(seat.key.ask(request))
  }

  #use({ token }: Grant): void {
    const world = this.#world
    // If several clients may hold the lock, they may learn of their grants in any order.
    if (token <= world.used && !world.stolen && !world.limit) world.flaw ??= `token ${token} came into use after ${world.used}`
    world.used = Math.max(world.used, token)
  }

  #end(grant: Grant, end: End): void {
    const { seat } = this
    if (!grant.end(end)) return
    seat.key.grants.delete(grant)
    this.#letGo(grant)
  }

  #letGo({ key, session, number, token }: LetGo): void {
    const what = { key, session, number, token }
    this.#send(letGo(what), { for: 'letGo', what })
  }

  #send(command: Command, purpose: Purpose): void {
    this.#world.items.push({ is: 'command', fresh: true, seat: this.#index, command, purpose, sent: this.#world.now })
  }
}
