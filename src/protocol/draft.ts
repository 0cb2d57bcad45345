import type { Outcome, Refusal } from './commands.ts'
import {
  type Asked,
  type Claim,
  type Confirmation,
  type Eviction,
  type Holder,
  type Json,
  type LockRecord,
  type LockView,
  lastTokenOf,
  type Run,
  type SessionRow,
} from './record.ts'
import { continues } from './runs.ts'

/** What a command may use besides the record: the wall time, for tokens and for display, and session rows by id. */
export interface Context {
  readonly now: number
  session(id: string): SessionRow | undefined
}

/** The result of one command on a record. */
export interface Step {
  /** The next record: the same object if nothing changed, `undefined` if the record is to be dropped. */
  readonly record: LockRecord | undefined
  /** The session rows that changed. */
  readonly sessions: readonly SessionRow[]
  readonly outcome: Outcome
}

/** What a command did, or why it was refused. */
export type Result =
  | { readonly type: 'granted'; readonly holder: Holder; readonly repeated: boolean }
  | { readonly type: 'renewed'; readonly holder: Holder }
  | { readonly type: 'queued' | 'done' }
  | Refusal

/** How many evictions a record keeps at most, and how many asks of requests that have ended. */
const maxEvictions = 8
const maxAsked = 8
/** The longest JSON of several such asks, in characters: every command on the lock reads and writes them. */
const maxAskedLength = 16_384
/** How many keys a session's row names at most. */
const maxNews = 16

/** A record while one command works on it. */
export class Draft {
  /** Wall time in whole ms. */
  readonly now: number
  holders: readonly Holder[]
  queue: readonly Run[]
  pins: readonly string[]
  readonly #before: LockRecord
  readonly #context: Context
  /**
   * Wall time in whole microseconds. If tokens counted milliseconds, those of a busy lock would run ahead of the clock, and a lost store would repeat
   * them.
   */
  readonly #clock: number
  #token: number
  #changed: Map<string, SessionRow> | undefined
  readonly #seen = new Map<string, SessionRow>()
  readonly #grants: Holder[] = []
  readonly #evicted: Holder[] = []
  #evictions: readonly Eviction[] | undefined
  #asked: readonly Asked[] | undefined

  constructor(record: LockRecord, context: Context) {
    this.now = Math.floor(context.now)
    this.#clock = Math.floor(context.now * 1_000)
    this.holders = record.holders
    this.queue = record.queue
    this.pins = record.pins
    this.#before = record
    this.#context = context
    this.#token = record.token
    this.#evictions = record.evictions
    this.#asked = record.asked
  }

  session(id: string): SessionRow | undefined {
    const row = this.#changed?.get(id) ?? this.#context.session(id)
    if (row) this.#seen.set(id, row)
    return row
  }

  putSession(row: SessionRow): void {
    this.#changed ??= new Map()
    this.#changed.set(row.id, row)
  }

  /** Drops the holds of sessions that have ended, unless a pin protects them. Leaves the holds of `own` to that session's command. */
  dropEnded(own: string | undefined): void {
    this.#head()
    if (this.pins.length) return
    const standing = this.holders.filter(({ session }) => session === own || this.session(session))
    if (standing.length < this.holders.length) this.holders = standing
  }

  /** The hold that a command names, or why the command is refused. */
  owned({ session, token }: { session: string; token: number }): Holder | Refusal {
    const holder = this.holders.find((held) => held.token === token)
    return !holder ? 'not-held' : holder.session === session ? holder : 'not-owner'
  }

  /** Whether one more claim may hold the lock now. All holders have the same limit. */
  allows({ mode, limit = 1 }: Pick<Claim, 'mode' | 'limit'>): boolean {
    return mode === 'shared' ? this.holders.every((holder) => holder.mode === 'shared') : this.holders.length < limit
  }

  /** Puts a request at the end of the queue: into the last run, if it continues that run. */
  enqueue(claim: Claim, number: number, { confirm, lapses }: Confirmation, ask?: Json): void {
    const { session, client, mode, limit, lease, metadata, reserve } = claim
    const last = this.queue.at(-1)
    const run: Run = { session, client, mode, limit, lease, metadata, reserve, from: number, to: number, confirm, lapses, ask }
    this.queue = last && continues(last, run) ? [...this.queue.slice(0, -1), { ...last, to: number }] : [...this.queue, run]
  }

  /** Removes a request from the queue without granting it. The holders can still read its ask. */
  leave(run: Run, number = run.from): void {
    if (run.ask === undefined || !this.holders.length) return
    const asked: Asked = { ...run, from: number, to: number, token: this.#token, label: this.session(run.session)?.label }
    const all = [asked, ...(this.#asked ?? [])].slice(0, maxAsked)
    while (all.length > 1 && JSON.stringify(all).length > maxAskedLength) all.pop()
    this.#asked = all
  }

  /** Adds a holder. A grant that another session's command makes is `unconfirmed` until its owner confirms it. */
  grant(claim: Claim, number: number, unconfirmed?: Confirmation): Holder {
    const previous = this.#token
    const lease = unconfirmed?.confirm ?? claim.lease
    const { session, client, mode, limit, metadata, reserve } = claim
    // Written out, because a spread here would take longer than the rest of a command.
    const holder: Holder = {
      session,
      client,
      mode,
      limit,
      lease: claim.lease,
      metadata,
      reserve,
      number,
      token: Math.max(previous + 1, this.#clock),
      previous,
      since: this.now,
      expiresAt: this.now + (lease ?? this.session(session)?.lease ?? 0),
      seq: lease === undefined ? undefined : -1,
      unconfirmed,
    }
    this.#token = lastTokenOf(holder)
    this.holders = [...this.holders, holder]
    return holder
  }

  remove(holder: Holder): void {
    this.holders = this.holders.filter((held) => held !== holder)
  }

  replace(holder: Holder, next: Holder): void {
    this.holders = this.holders.map((held) => (held === holder ? next : held))
  }

  /** Takes these holds away, and counts the evictions in their sessions' rows. */
  evict(holders: readonly Holder[], how: Eviction['how']): void {
    if (!holders.length) return
    const ranges: Eviction[] = []
    let last: Eviction | undefined
    // Holders are in the order of their tokens. A holder that stays ends one range of evicted tokens, and the next one begins after it.
    for (const holder of this.holders) {
      const { token, session } = holder
      if (!holders.includes(holder)) last = undefined
      else {
        if (last) ranges.shift()
        last = { from: last?.from ?? token, to: token, how }
        ranges.unshift(last)
        this.#evicted.push(holder)
        this.bump(session, 'evictions')
      }
    }
    this.holders = this.holders.filter((holder) => !holders.includes(holder))
    this.#evictions = [...ranges, ...(this.#evictions ?? [])].slice(0, maxEvictions)
  }

  /** Counts news in a session's row, which its next beat returns. */
  bump(session: string, count: 'evictions' | 'asks'): void {
    const row = this.session(session)
    if (row) this.putSession({ ...row, [count]: row[count] + 1, news: [...(row.news ?? []), this.#before.key].slice(-maxNews) })
  }

  /** Grants everything that the head of the queue now allows. Only `own` need not confirm its grants. */
  grantNext(own: string | undefined): void {
    for (let head = this.#head(); head && this.allows(head); head = this.#head()) {
      const { session, from, to, confirm, lapses } = head
      this.queue = from === to ? this.queue.slice(1) : [{ ...head, from: from + 1 }, ...this.queue.slice(1)]
      this.#grants.push(this.grant(head, from, session === own ? undefined : { confirm, lapses }))
    }
  }

  /** The run at the head of the queue. Drops runs of ended sessions in front of it, so that they do not hold up the rest. */
  #head(): Run | undefined {
    for (let head = this.queue[0]; head && !this.session(head.session); head = this.queue[0]) {
      this.leave(head)
      this.queue = this.queue.slice(1)
    }
    return this.queue[0]
  }

  /** The asks that were made to a holder that still holds the lock. */
  #stillAsked(asked: readonly Asked[]): readonly Asked[] | undefined {
    const left = asked.filter((each) => this.holders.some(({ token }) => token <= each.token))
    return left.length ? left : undefined
  }

  finish(result: Result): Step {
    const { key, token, holders, queue, pins, changedAt } = this.#before
    const same = this.#token === token && this.holders === holders && this.queue === queue && this.pins === pins
    const changed = this.#changed
    const sessions = this.#seen
    if (changed) for (const row of changed.values()) sessions.set(row.id, row)
    const record: LockView = {
      key,
      token: this.#token,
      holders: this.holders,
      queue: this.queue,
      pins: this.pins,
      changedAt: same ? changedAt : this.now,
      evictions: this.#evictions,
      asked: this.#asked && this.#stillAsked(this.#asked),
      sessions,
    }
    const outcome = outcomeOf(result, { record, grants: this.#grants, evicted: this.#evicted })
    return { record: same ? this.#before : record, sessions: changed ? [...changed.values()] : [], outcome }
  }
}

/** Written out for the same reason as a grant. */
function outcomeOf(result: Result, { record, grants, evicted }: Omit<Extract<Outcome, { type: 'done' }>, 'type'>): Outcome {
  if (typeof result === 'string') return { type: 'refused', reason: result, record, grants, evicted }
  switch (result.type) {
    case 'granted':
      return { type: 'granted', holder: result.holder, repeated: result.repeated, record, grants, evicted }
    case 'renewed':
      return { type: 'renewed', holder: result.holder, record, grants, evicted }
    default:
      return { type: result.type, record, grants, evicted }
  }
}
