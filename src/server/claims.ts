import type { LockView } from '../protocol/index.ts'
import type { Caller } from './access.ts'
import { type Budget, type Budgets, whoOf } from './budgets.ts'
import type { WireCommand } from './wire.ts'

type Request = Extract<WireCommand, { type: 'request' }>

interface Claim {
  readonly who: string
  /** The bytes of its metadata and ask. */
  readonly bytes: number
  /** `asked` while its request is pending: then it becomes `waiting` or `held`. */
  state: 'asked' | 'waiting' | 'held'
  token: number | undefined
}

/** What the server knows about one key. */
interface Known {
  readonly places: Map<string, Claim>
  readonly tokens: Map<number, string>
  /** Bytes of metadata and asks, by owner. */
  readonly bytes: Map<string, number>
}

/** Counts what the sessions of this server's clients hold and wait for, so that no credential exceeds its limits. */
export class Claims {
  readonly #budgets: Budgets
  readonly #keys = new Map<string, Known>()
  /** The owner of each open session, and how many claims it has on which keys. */
  readonly #sessions = new Map<string, { readonly who: string; readonly keys: Map<string, number> }>()
  /** The owner whose request created a key's record. */
  readonly #made = new Map<string, string>()
  #waiting = 0
  #held = 0

  constructor(budgets: Budgets) {
    this.#budgets = budgets
  }

  get waiting(): number {
    return this.#waiting
  }

  get held(): number {
    return this.#held
  }

  get sessions(): number {
    return this.#sessions.size
  }

  /** A session was opened, or noticed. @returns false if it is one too many */
  open(session: string, caller: Caller): boolean {
    if (this.#sessions.has(session)) return true
    const who = whoOf(caller)
    if (!this.#budgets.take(who, 'sessions')) return false
    this.#sessions.set(session, { who, keys: new Map() })
    return true
  }

  /** The open sessions. */
  ids(): Iterable<string> {
    return this.#sessions.keys()
  }

  /** The keys that sessions hold or wait for. */
  keys(): Iterable<string> {
    return this.#keys.keys()
  }

  knows(session: string): boolean {
    return this.#sessions.has(session)
  }

  /** Whether the caller may open one more session. */
  mayOpen(caller: Caller): boolean {
    return this.#budgets.has(whoOf(caller), 'sessions')
  }

  /** A session has ended, and its claims with it. */
  end(session: string): void {
    const known = this.#sessions.get(session)
    if (!known) return
    for (const key of [...known.keys.keys()])
      for (const place of [...(this.#keys.get(key)?.places.keys() ?? [])]) if (partsOf(place)[1] === session) this.#drop(key, place)
    this.#sessions.delete(session)
    this.#budgets.give(known.who, 'sessions')
  }

  /** A request goes to the store. @returns the limit that it exceeds */
  ask({ key, session, number, ifAvailable, metadata, ask }: Request, caller: Caller): Budget | undefined {
    const place = placeOf(session, number)
    if (this.#claim(key, place)) return undefined
    const who = whoOf(caller)
    const bytes = sizeOf(metadata) + sizeOf(ask)
    // Every client that uses a lock makes the server read and write its whole record.
    if (bytes && !this.#budgets.within('record', (this.#keys.get(key)?.bytes.get(who) ?? 0) + bytes)) return 'record'
    const wanted: [Budget, number][] = [['held', 1], ...(ifAvailable ? [] : [['waiters', 1] as [Budget, number]]), ['metadata', bytes]]
    const taken: [Budget, number][] = []
    for (const [limit, amount] of wanted) {
      if (!this.#budgets.take(who, limit, amount)) {
        for (const [given, back] of taken) this.#budgets.give(who, given, back)
        return limit
      }
      taken.push([limit, amount])
    }
    // Until its outcome is known, a request counts as both held and waiting.
    if (ifAvailable) this.#budgets.force(who, 'waiters')
    this.#add(key, session, place, { who, bytes, state: 'asked', token: undefined })
    return undefined
  }

  /** The request was carried out: drops its claim unless it is now known to wait or to hold. */
  settle({ key, session, number }: Request): void {
    const place = placeOf(session, number)
    if (this.#claim(key, place)?.state === 'asked') this.#drop(key, place)
  }

  queued(key: string, session: string, number: number): void {
    const claim = this.#claim(key, placeOf(session, number))
    if (claim?.state !== 'asked') return
    claim.state = 'waiting'
    this.#budgets.give(claim.who, 'held')
    this.#waiting++
  }

  granted(key: string, session: string, number: number, token: number): void {
    const place = placeOf(session, number)
    const claim = this.#claim(key, place)
    if (!claim || claim.state === 'held') return
    if (claim.state === 'waiting') {
      this.#waiting--
      this.#budgets.force(claim.who, 'held')
    }
    this.#budgets.give(claim.who, 'waiters')
    this.#held++
    claim.state = 'held'
    claim.token = token
    this.#keys.get(key)?.tokens.set(token, place)
  }

  /** A request of this caller's created a record. */
  made(key: string, caller: Caller): void {
    if (this.#made.has(key)) return
    const who = whoOf(caller)
    this.#made.set(key, who)
    this.#budgets.force(who, 'keys')
  }

  /** Whether the caller may create one more record. */
  mayMake(caller: Caller): boolean {
    return this.#budgets.has(whoOf(caller), 'keys')
  }

  /** A record was swept. */
  swept(key: string): void {
    const who = this.#made.get(key)
    if (who !== undefined) this.#budgets.give(who, 'keys')
    this.#made.delete(key)
  }

  drop(key: string, session: string, number: number): void {
    this.#drop(key, placeOf(session, number))
  }

  released(key: string, token: number): void {
    const place = this.#keys.get(key)?.tokens.get(token)
    if (place !== undefined) this.#drop(key, place)
  }

  /** Drops claims that a record no longer shows. */
  compare({ key, queue, holders }: LockView): void {
    const places = this.#keys.get(key)?.places
    if (!places) return
    const holding = new Set(holders.map(({ session, number }) => placeOf(session, number)))
    for (const [place, { state }] of [...places]) {
      const [number, session] = partsOf(place)
      const waits = queue.some((run) => run.session === session && run.from <= number && number <= run.to)
      if (state !== 'asked' && !waits && !holding.has(place)) this.#drop(key, place)
    }
  }

  #add(key: string, session: string, place: string, claim: Claim): void {
    const known: Known = this.#keys.get(key) ?? { places: new Map(), tokens: new Map(), bytes: new Map() }
    this.#keys.set(key, known)
    known.places.set(place, claim)
    if (claim.bytes) known.bytes.set(claim.who, (known.bytes.get(claim.who) ?? 0) + claim.bytes)
    this.#count(key, session, 1)
  }

  #count(key: string, session: string, more: 1 | -1): void {
    const keys = this.#sessions.get(session)?.keys
    const left = (keys?.get(key) ?? 0) + more
    if (left > 0) keys?.set(key, left)
    else keys?.delete(key)
  }

  #claim(key: string, place: string): Claim | undefined {
    return this.#keys.get(key)?.places.get(place)
  }

  #drop(key: string, place: string): void {
    const known = this.#keys.get(key)
    const claim = known?.places.get(place)
    if (!known || !claim) return
    known.places.delete(place)
    if (claim.token !== undefined) known.tokens.delete(claim.token)
    if (claim.bytes) known.bytes.set(claim.who, (known.bytes.get(claim.who) ?? 0) - claim.bytes)
    if (!known.places.size) this.#keys.delete(key)
    this.#count(key, partsOf(place)[1], -1)
    if (claim.state === 'waiting') this.#waiting--
    if (claim.state === 'held') this.#held--
    if (claim.state !== 'waiting') this.#budgets.give(claim.who, 'held')
    if (claim.state !== 'held') this.#budgets.give(claim.who, 'waiters')
    this.#budgets.give(claim.who, 'metadata', claim.bytes)
  }
}

const sizeOf = (value: unknown): number => (value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value)))

const placeOf = (session: string, number: number): string => `${number} ${session}`

function partsOf(place: string): [number, string] {
  const gap = place.indexOf(' ')
  return [Number(place.slice(0, gap)), place.slice(gap + 1)]
}
