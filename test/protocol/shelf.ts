import {
  type Beat,
  type Command,
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  type Holder,
  type KeyCommand,
  type LockRecord,
  type LockView,
  type Outcome,
  type Request,
  runBatch,
  type SessionRow,
} from '../../src/protocol/index.ts'

/** A minimal store: the texts of records and rows, and a wall clock that tests move. */
export class Shelf {
  now = 1_000_000
  floor = 0
  readonly records = new Map<string, string>()
  readonly sessions = new Map<string, string>()

  run(commands: readonly Command[]): Outcome[] {
    const changes = runBatch(commands, {
      now: this.now,
      floor: this.floor,
      record: (key) => this.record(key),
      session: (id) => this.session(id),
      stale: () => [...this.sessions.keys()].flatMap((id) => this.session(id) ?? []).filter(({ expiresAt, lease }) => expiresAt + lease < this.now),
    })
    for (const [key, record] of changes.records) put(this.records, key, record && encodeRecord(record))
    for (const [id, row] of changes.sessions) put(this.sessions, id, row && encodeSession(row))
    this.floor = changes.floor ?? this.floor
    return changes.outcomes
  }

  record(key: string): LockRecord | undefined {
    const text = this.records.get(key)
    return text === undefined ? undefined : decodeRecord(key, text)
  }

  session(id: string): SessionRow | undefined {
    const text = this.sessions.get(id)
    return text === undefined ? undefined : decodeSession(id, text)
  }

  copy(): Shelf {
    const copy = new Shelf()
    copy.now = this.now
    copy.floor = this.floor
    for (const [key, text] of this.records) copy.records.set(key, text)
    for (const [id, text] of this.sessions) copy.sessions.set(id, text)
    return copy
  }
}

const put = (map: Map<string, string>, key: string, text: string | undefined): unknown => (text === undefined ? map.delete(key) : map.set(key, text))

/** The outcome of a command on a record that did not fail. */
export type KeyOutcome = Extract<Outcome, { readonly record: LockView }>

/** The lease of every session in these tests, and the confirm time of every request, in ms. */
export const lease = 12_000
export const confirm = 3_000

/** A shelf with one key, `k`, and the sessions `a` to `d`, with short methods for the tests. */
export class Table extends Shelf {
  #number = 0

  constructor() {
    super()
    for (const session of ['a', 'b', 'c', 'd']) this.beat(session, { opens: true })
  }

  /** Carries out one command on a record. */
  do(command: KeyCommand): KeyOutcome {
    const [outcome] = this.run([command])
    if (!outcome || !('record' in outcome)) throw new Error(`not an outcome on a record: ${JSON.stringify(outcome)}`)
    return outcome
  }

  beat(session: string, rest: Partial<Beat> = {}): Outcome | undefined {
    return this.run([{ type: 'beat', session, client: `client of ${session}`, lease, ...rest }])[0]
  }

  end(session: string, seq?: number): Outcome | undefined {
    return this.run([{ type: 'end', session, seq }])[0]
  }

  /** Makes a request with the next number. */
  ask(session: string, rest: Partial<Request> = {}): Request {
    const number = ++this.#number
    return { type: 'request', key: 'k', session, client: `client of ${session}`, number, mode: 'exclusive', confirm, ...rest }
  }

  request(session: string, rest?: Partial<Request>): KeyOutcome {
    return this.do(this.ask(session, rest))
  }

  /** Sends a request that must be granted at once. */
  hold(session: string, rest?: Partial<Request>): Holder {
    const outcome = this.request(session, rest)
    if (outcome.type !== 'granted') throw new Error(`${session} was not granted the lock: ${outcome.type}`)
    return outcome.holder
  }

  /** Sends a request that must wait. */
  wait(session: string, rest?: Partial<Request>): Request {
    const request = this.ask(session, rest)
    const outcome = this.do(request)
    if (outcome.type !== 'queued') throw new Error(`${session} was not queued: ${outcome.type}`)
    return request
  }

  release(holder: Holder, session = holder.session): KeyOutcome {
    return this.do({ type: 'release', key: 'k', session, token: holder.token })
  }

  renew(holder: Holder, rest: { session?: string; lease?: number } = {}): KeyOutcome {
    return this.do({ type: 'renew', key: 'k', session: holder.session, token: holder.token, ...rest })
  }

  /** Evicts a holder on the present evidence, or on the given `seq`. */
  expire(holder: Holder, seq = holder.seq ?? this.session(holder.session)?.seq): KeyOutcome {
    return this.do({ type: 'expire', key: 'k', evidence: { token: holder.token, seq } })
  }

  get lock(): LockRecord {
    const record = this.record('k')
    if (!record) throw new Error('there is no record')
    return record
  }

  /** The sessions that hold the lock, in the order of their grants. */
  get holders(): string[] {
    return this.lock.holders.map(({ session }) => session)
  }

  /** The runs in the queue, as `session:from-to`. */
  get queue(): string[] {
    return this.lock.queue.map(({ session, from, to }) => `${session}:${from}-${to}`)
  }

  holder(session: string): Holder {
    const found = this.lock.holders.find((holder) => holder.session === session)
    if (!found) throw new Error(`${session} does not hold the lock`)
    return found
  }
}

/** The sessions that an outcome wakes. */
export const woken = ({ grants }: KeyOutcome): string[] => grants.map(({ session }) => session)

export const reasonOf = (outcome: KeyOutcome): string | undefined => (outcome.type === 'refused' ? outcome.reason : undefined)
