import {
  type Command,
  type Holder,
  type KeyCommand,
  type LockRecord,
  lastTokenOf,
  leaseOf,
  type Outcome,
  type Run,
  type SessionRow,
  type Sessions,
  seqOf,
} from '../src/protocol/index.ts'
import { forbidden, type Process, type World } from './parts.ts'

/** The time of a sign of life: for each machine, how long it had been awake, and how often it had slept. */
type Stamp = readonly { readonly awake: number; readonly sleeps: number }[]

/** The share of a lease that one sleep of a machine may add to an observed silence: the capped pause between two looks. */
const sleepShare = 0.16
/** A session's row may be removed after a silence of this length, in ms. It is far longer than any hold. */
const burial = 120_000

/** Watches the store: checks every command against the state before it and its outcome, without the code under test. */
export class Ledger {
  readonly #world: World
  /** The highest token that was ever granted, by key. */
  readonly #highest = new Map<string, number>()
  /** The last renewal of each hold, and of each session. */
  readonly #holdSigns = new Map<string, Stamp>()
  readonly #sessionSigns = new Map<string, Stamp>()
  /** Sessions that have ended themselves, or whose beacon is out. */
  readonly #gone = new Set<string>()
  /** Sessions whose beacon went out while their process did not run. When it runs again, it believes in lost locks for a moment. */
  readonly #unaware = new Set<string>()
  /** All grants of each key. */
  readonly #grants = new Map<string, Holder[]>()
  readonly #owners = new Map<string, Process>()
  /** For each key, the highest token that has written: of all holders, and of the exclusive ones. */
  readonly #written = new Map<string, { any: number; exclusive: number }>()
  /** The limit of each request: 1 if it has none, and Infinity if it is shared. */
  readonly #limits = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  violated(what: string): void {
    this.#world.fail(what)
  }

  /** Call it when a session's beacon goes out or is lowered. */
  proved(session: string): void {
    this.#gone.add(session)
  }

  unaware(session: string): void {
    this.#unaware.add(session)
  }

  /** The token of the grant that a session's token belongs to, if there ever was one. */
  grantOf(key: string, token: number, session: string): number | undefined {
    return this.#grants.get(key)?.findLast((holder) => holder.session === session && holder.token <= token && token <= lastTokenOf(holder))?.token
  }

  ownerOf(session: string): Process | undefined {
    return this.#owners.get(session)
  }

  /** Applies commands of one process to the store, and checks them. */
  apply(process: Process | undefined, commands: readonly Command[]): Outcome[] {
    const { store } = this.#world
    const rows = new Map<string, SessionRow | undefined>()
    const records = new Map<string, LockRecord | undefined>()
    const remember = (id: string | undefined): unknown => id !== undefined && rows.set(id, store.session(id))
    for (const command of commands) {
      if ('session' in command) remember(command.session)
      if (!('key' in command)) continue
      const record = store.record(command.key)
      records.set(command.key, record)
      for (const { session } of record?.holders ?? []) remember(session)
      for (const { session } of record?.queue ?? []) remember(session)
    }
    // The session rows before a command. Each outcome contains them as they are after it.
    const row = (id: string): SessionRow | undefined => rows.get(id)
    const outcomes = store.apply(commands)
    commands.forEach((command, index) => {
      const outcome = outcomes[index] as Outcome
      if ('key' in command) {
        const before = records.get(command.key)
        const after = 'record' in outcome ? outcome.record : before
        this.#judge(process, command, outcome, before, after, row)
        if ('record' in outcome) for (const each of outcome.record.sessions.values()) rows.set(each.id, each)
        const dropped = command.type === 'sweep' && outcome.type === 'done'
        records.set(command.key, dropped ? undefined : after)
      } else this.#judgeSession(process, command, outcome, row, rows)
    })
    return outcomes
  }

  #judgeSession(
    process: Process | undefined,
    command: Exclude<Command, KeyCommand>,
    outcome: Outcome,
    row: (id: string) => SessionRow | undefined,
    rows: Map<string, SessionRow | undefined>,
  ): void {
    const { session } = command
    const before = row(session)
    if (outcome.type === 'beaten') {
      if (command.type === 'beat' && command.opens && process) this.#owners.set(session, process)
      if (outcome.session.lease < (before?.lease ?? 0)) this.violated(`a beat shortened the lease of ${session}`)
      if (before && outcome.session.seq <= before.seq) this.violated(`a beat did not raise the counter of ${session}`)
      this.#sessionSigns.set(session, this.#stamp())
      rows.set(session, outcome.session)
    }
    if (command.type !== 'end' || outcome.type !== 'ended') return
    rows.set(session, undefined)
    const owner = this.#owners.get(session)
    if (owner === process) this.#gone.add(session)
    else if (before && owner && !this.#isGone(session) && this.#isTimely()) {
      const silent = this.#silence(process, this.#sessionSigns.get(session))
      if (command.seq === undefined || silent < Math.max(burial, before.lease)) this.violated(`${session} of ${owner.name} was ended though it lives`)
    }
  }

  #judge(
    process: Process | undefined,
    command: KeyCommand,
    outcome: Outcome,
    before: LockRecord | undefined,
    after: LockRecord | undefined,
    row: (id: string) => SessionRow | undefined,
  ): void {
    const holders = before?.holders ?? []
    const queue = before?.queue ?? []
    if (process) this.#checkRight(process, command)
    if (!after) return
    if (command.type === 'request') this.#checkLimit(command, outcome, [...holders, ...placesOf(queue)])
    if (after.holders !== holders) {
      for (const holder of holders) {
        const now = after.holders.find(({ token }) => token === holder.token)
        if (!now) this.#removed(process, command, holder, before as LockRecord, row)
        else if (now !== holder) this.#changed(command, holder, now)
      }
      for (const holder of after.holders)
        if (!holders.some(({ token }) => token === holder.token)) this.#grantedBy(command, holder, [...placesOf(queue), ...holders])
    }
    if (after.holders !== holders || after.queue !== queue) this.#checkCount(command, after)
    if (after.queue !== queue) this.#checkQueue(process, command, queue, after, row)
    if (outcome.type === 'granted' && !outcome.repeated && !isSteal(command)) {
      const { session, number } = outcome.holder
      if (placesOf(queue).some((place) => row(place.session) && !(place.session === session && place.number === number)))
        this.violated(`${session} was granted ${after.key} ahead of those who waited`)
    }
  }

  /** A request may be refused for its limit only if a holder or waiter has another limit. */
  #checkLimit(command: Extract<KeyCommand, { type: 'request' }>, { type, ...outcome }: Outcome, others: readonly Place[]): void {
    const { key, mode, limit = 1 } = command
    const name = `${key} ${nameOf(command)}`
    const known = this.#limits.get(name)
    if (known === undefined) this.#limits.set(name, mode === 'shared' ? Infinity : limit)
    if (type !== 'refused' || !('reason' in outcome) || outcome.reason !== 'limit') return
    this.#world.count('told', 'other limit')
    if (others.every((place) => this.#groupOf(key, place) === limit))
      this.violated(`${command.session} was refused ${key} for its limit, which all have`)
  }

  /** The limit of a request's group. Exclusive and shared requests without a limit form one group, since they may queue together. */
  #groupOf(key: string, place: Place): number {
    const limit = this.#limits.get(`${key} ${nameOf(place)}`) ?? 1
    return limit === Infinity ? 1 : limit
  }

  /** There are no more holders than each of them allows, and all holders and waiters have the same limit. */
  #checkCount({ key }: KeyCommand, { holders, queue }: LockRecord): void {
    const most = Math.min(...holders.map((holder) => this.#limits.get(`${key} ${nameOf(holder)}`) ?? 1))
    if (holders.length > most) this.violated(`${key} has ${holders.length} holders, where ${most} may hold it`)
    if (holders.length > 1 && most < Infinity) this.#world.count('told', 'one of several')
    const groups = new Set([...holders, ...placesOf(queue)].map((place) => this.#groupOf(key, place)))
    if (groups.size > 1) this.violated(`${key} is held or waited for with limits of ${[...groups].join(' and ')}`)
  }

  /** A process may steal or, with manual expiry, evict only if its users want this. */
  #checkRight({ name, meant, traits }: Process, command: KeyCommand): void {
    const { key, type } = command
    if (key.includes(forbidden)) this.violated(`${name} sent a ${type} of ${key}, which its policy forbids`)
    if (isSteal(command) && !meant.has(`steal ${key}`)) this.violated(`${name} stole ${key} though nobody there wants that`)
    if (type === 'expire' && traits.options.expiry === 'manual' && !meant.has(`expire ${key}`))
      this.violated(`${name} evicted somebody from ${key} by itself`)
  }

  #grantedBy(command: KeyCommand, holder: Holder, before: readonly Place[]): void {
    const { key } = command
    const { token, session, unconfirmed } = holder
    this.#world.count('told', 'grant')
    if (token <= (this.#highest.get(key) ?? 0)) this.violated(`token ${token} of ${key} is not above ${this.#highest.get(key)}`)
    this.#highest.set(key, Math.max(lastTokenOf(holder), this.#highest.get(key) ?? 0))
    this.#holdSigns.set(`${key} ${token}`, this.#stamp())
    this.#grants.set(key, [...(this.#grants.get(key) ?? []), holder])
    const own = 'session' in command && command.type !== 'revoke' && command.session === session
    if (!own && !unconfirmed) this.violated(`${session} was granted ${key} by another's command and need not confirm it`)
    // A request whose grant has lapsed goes back to the queue.
    if (command.type !== 'request' && !before.some((place) => nameOf(place) === nameOf(holder)))
      this.violated(`${session} was granted ${key} though it did not wait`)
  }

  #changed(command: KeyCommand, before: Holder, after: Holder): void {
    const { key } = command
    if (command.type !== 'renew' || command.token !== before.token || command.session !== before.session)
      this.violated(`${command.type} changed a hold of ${key} that is another's`)
    if (after.expiresAt < before.expiresAt) this.violated(`a renewal of ${key} moved its end back`)
    if (!before.unconfirmed && (after.lease ?? Infinity) < (before.lease ?? 0)) this.violated(`a renewal of ${key} shortened its lease`)
    this.#holdSigns.set(`${key} ${before.token}`, this.#stamp())
    if (after.seq === undefined && before.seq === undefined) this.#sessionSigns.set(after.session, this.#stamp())
  }

  /** Checks how a hold has ended: its owner released it, or it was stolen, revoked or evicted on evidence. */
  #removed(process: Process | undefined, command: KeyCommand, holder: Holder, before: LockRecord, row: (id: string) => SessionRow | undefined): void {
    const { key } = command
    const { token, session, number } = holder
    const { beliefs } = this.#world
    const sign = this.#holdSigns.get(`${key} ${token}`)
    this.#holdSigns.delete(`${key} ${token}`)
    const released = command.type === 'release' && command.token === token && command.session === session
    const withdrawn = command.type === 'withdraw' && command.number === number && command.session === session
    const revoked = command.type === 'revoke' && (command.session ?? session) === session
    if (released || withdrawn) beliefs.removed(key, token, 'let go')
    else if (revoked || isSteal(command)) beliefs.removed(key, token, 'robbed')
    else {
      beliefs.removed(key, token, this.#unaware.has(session) ? 'robbed' : 'evicted')
      const wrong = row(session) && this.#wrongOf(process, command, holder, before, row, sign)
      if (wrong) this.violated(`the hold of ${key} with token ${token} ${wrong}`)
    }
  }

  /** Evidence against a hold must name the hold, still be valid, and be true. @returns what is wrong with the eviction */
  #wrongOf(
    process: Process | undefined,
    command: KeyCommand,
    holder: Holder,
    before: LockRecord,
    row: (id: string) => SessionRow | undefined,
    sign: Stamp | undefined,
  ): string | undefined {
    const { token, session } = holder
    if (command.type !== 'expire' || 'number' in command.evidence) return `was taken by a ${command.type} without right`
    const { evidence } = command
    if (evidence.token !== token) return `was evicted on evidence for token ${evidence.token}`
    const rows = rowsOf(row, session)
    if (evidence.seq !== seqOf(holder, rows)) return 'was evicted on evidence that stands no more'
    if (before.pins.length) return 'was evicted though it is pinned'
    if (!this.#isTimely() || this.#isGone(session)) return undefined
    const lease = leaseOf(holder, rows)
    const silent = Math.min(
      this.#silence(process, sign),
      holder.seq === undefined ? this.#silence(process, this.#sessionSigns.get(session)) : Infinity,
    )
    if (silent >= this.#needed(process, lease, sign)) return undefined
    return `was evicted after ${Math.round(silent)} ms of silence, less than its lease of ${lease} ms`
  }

  /** No request overtakes another, is in the queue twice, or is dropped without a reason. */
  #checkQueue(
    process: Process | undefined,
    command: KeyCommand,
    queue: readonly Run[],
    after: LockRecord,
    row: (id: string) => SessionRow | undefined,
  ): void {
    const { key } = command
    const was = placesOf(queue)
    const is = placesOf(after.queue).map(nameOf)
    if (new Set(is).size < is.length) this.violated(`a request stands twice in the queue of ${key}`)
    if (placesOf(after.queue).some((place) => after.holders.some((holder) => nameOf(holder) === nameOf(place))))
      this.violated(`a request waits for ${key} and holds it`)
    const stayed = was.filter((place) => is.includes(nameOf(place)))
    if (stayed.some((place, index) => nameOf(place) !== is[index])) this.violated(`the queue of ${key} changed its order`)
    for (const [index, place] of was.entries()) {
      if (is.includes(nameOf(place)) || !row(place.session)) continue
      const granted = after.holders.some((holder) => nameOf(holder) === nameOf(place))
      const ahead = was.slice(0, index).find((other) => is.includes(nameOf(other)) && row(other.session))
      if (granted && ahead) this.violated(`${place.session} was granted ${key} ahead of ${ahead.session}`)
      const withdrawn = command.type === 'withdraw' && command.session === place.session && command.number === place.number
      if (!granted && !withdrawn) this.#dropped(process, command, place)
    }
  }

  #dropped(process: Process | undefined, command: KeyCommand, { session, number }: Place): void {
    const owner = this.#owners.get(session)
    const { shape } = this.#world
    if (command.type !== 'expire' || !('number' in command.evidence) || command.evidence.session !== session)
      this.violated(`${command.type} dropped request ${number} of ${session}`)
    else if (process !== owner && owner?.isWell(2 * shape.duration) && !this.#isGone(session) && this.#isTimely())
      this.violated(`request ${number} of ${session} was dropped though ${owner.name} is well`)
  }

  /** Call it when a write under a lock is in the store. `token` is that of the grant. */
  wrote(process: Process, key: string, token: number, mode: 'exclusive' | 'shared'): void {
    const written = this.#written.get(key) ?? { any: 0, exclusive: 0 }
    this.#world.count('told', 'fenced write')
    // If several may hold the key, they write in any order, as long as the store names the writer.
    const holder = this.#grants.get(key)?.find((each) => each.token === token)
    const alone = mode === 'exclusive' && !(holder && this.#groupOf(key, holder) > 1)
    if (token < (alone ? written.any : written.exclusive)) this.violated(`${process.name} wrote ${key} with token ${token} after ${written.any} had`)
    if (!alone && !this.#world.store.record(key)?.holders.some((each) => each.token === token))
      this.violated(`${process.name} wrote ${key} with token ${token}, which holds it no more`)
    written.any = Math.max(written.any, token)
    if (alone) written.exclusive = Math.max(written.exclusive, token)
    this.#written.set(key, written)
  }

  /** Whether the clocks are accurate enough for the promises about time. */
  #isTimely(): boolean {
    return this.#world.shape.timely
  }

  #isGone(session: string): boolean {
    const owner = this.#owners.get(session)
    return this.#gone.has(session) || owner?.dead === true || owner?.locks.session !== session
  }

  #stamp(): Stamp {
    return this.#world.machines.map(({ awake, sleeps }) => ({ awake, sleeps }))
  }

  /** The longest silence that a process can have observed since a sign of life, in ms. */
  #silence(process: Process | undefined, sign: Stamp | undefined): number {
    const machine = process?.traits.machine ?? this.#world.machines[0]
    const last = machine && sign?.[this.#world.machines.indexOf(machine)]
    return machine && last ? machine.awake - last.awake : Infinity
  }

  #needed(process: Process | undefined, lease: number, sign: Stamp | undefined): number {
    const machine = process?.traits.machine ?? this.#world.machines[0]
    const last = machine && sign?.[this.#world.machines.indexOf(machine)]
    const sleeps = machine && last ? machine.sleeps - last.sleeps : 0
    return (lease * (1 - sleeps * sleepShare)) / (process?.traits.rate ?? 1) - 1
  }
}

interface Place {
  readonly session: string
  readonly number: number
}

const isSteal = (command: KeyCommand): boolean => command.type === 'request' && command.steal === true

const nameOf = ({ session, number }: Place): string => `${session}#${number}`

const placesOf = (queue: readonly Run[]): Place[] =>
  queue.flatMap(({ session, from, to }) => Array.from({ length: to - from + 1 }, (_, index) => ({ session, number: from + index })))

function rowsOf(row: (id: string) => SessionRow | undefined, session: string): Sessions {
  const found = row(session)
  return new Map(found && [[session, found]])
}
