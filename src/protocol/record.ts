/** Plain JSON data. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** `exclusive`: one holder at a time, or as many as its limit. `shared`: any number of shared holders together. */
export type Mode = 'exclusive' | 'shared'

/** What a request asks for. It is kept with the waiter in the queue, and then with the holder. */
export interface Claim {
  readonly session: string
  /** The context behind the session. It stays the same when a page's session ends and a new one starts. */
  readonly client: string
  readonly mode: Mode
  /** How many requests with this same limit may hold the lock together: 2 or more. Without it an exclusive holder is alone. */
  readonly limit?: number | undefined
  /** A lease of the hold's own in ms; without it the hold leans on its session's row. */
  readonly lease?: number | undefined
  readonly metadata?: Json | undefined
  /** How many more tokens are reserved for using the same grant again, because its session may let it linger. */
  readonly reserve?: number | undefined
}

/** How a grant that another session's command made is confirmed, or lapses. */
export interface Confirmation {
  /** The short lease, in ms, until the owner confirms. */
  readonly confirm: number
  /** How often a grant to this waiter has lapsed before. */
  readonly lapses: number
}

export interface Holder extends Claim {
  /** The number of the request that this grant answers. */
  readonly number: number
  /** The fencing token: higher than that of every earlier grant of this key. With `reserve`, the first of several. */
  readonly token: number
  /** The key's last token before this grant; 0 if there was none. Shows whether another grant came in between. */
  readonly previous: number
  /** Wall time of the grant, in ms since 1970: for display only. `undefined` if storelock 0.1 wrote it. */
  readonly since?: number | undefined
  /** Wall time in ms, for display only. For a hold that leans on its session, the row's `expiresAt` counts as well. */
  readonly expiresAt: number
  /** Its own renewal counter, below zero so that it never equals a session's. */
  readonly seq?: number | undefined
  /** Set until the owner confirms a grant that another session's command made. */
  readonly unconfirmed?: Confirmation | undefined
}

/** Consecutive requests of one session that are alike: numbers `from` to `to`, both included. */
export interface Run extends Claim, Confirmation {
  readonly from: number
  readonly to: number
  /** The value that the holders can read when this run asks them to release. */
  readonly ask?: Json | undefined
}

/** A session's row: its sign of life, on which its plain holds lean. */
export interface SessionRow {
  readonly id: string
  readonly client: string
  /** Incremented by every beat. */
  readonly seq: number
  /** In ms: four thirds of the duration that its holders count on. */
  readonly lease: number
  /** Wall time in ms, for display only. */
  readonly expiresAt: number
  /** How many times this session's locks were evicted, stolen or revoked. */
  readonly evictions: number
  /** How many times requests have asked for one of this session's locks. */
  readonly asks: number
  /** The keys of the latest evictions and asks since its last beat. A hint: the two counts show whether any keys are missing. */
  readonly news?: readonly string[] | undefined
  readonly label?: string | undefined
  /** The address at which other sessions watch for the proof of its death. */
  readonly beacon?: string | undefined
  /** The `seq` at which another session challenged it to show that it is alive; it answers with a beat. */
  readonly challenged?: number | undefined
}

/**
 * How a lock was lost. Stable across versions, as the codes are.
 *
 * - `stolen`: another request took it, with `steal`.
 * - `revoked`: a call of `revoke` took it.
 * - `expired`: it was not renewed in time, or was held for its `maxHold`.
 * - `ended`: its session ended, or its record is gone: the page was left, the beacon was lost, another session ended it as dead, or the store was
 *   closed, cleared or lost.
 */
export type LossReason = 'stolen' | 'revoked' | 'expired' | 'ended'

/** The holds that one command took from their sessions: those that had tokens `from` to `to`. */
export interface Eviction {
  readonly from: number
  readonly to: number
  readonly how: Exclude<LossReason, 'ended'>
}

/** The ask of a request that left the queue without a grant: the holders may not have been notified yet. */
export interface Asked extends Run {
  /** The label of the request's session, which may have ended. */
  readonly label?: string | undefined
  /** The key's last token when the request left: holders with later tokens were not asked. */
  readonly token: number
}

/** A lock's whole state. Every change makes a new record. */
export interface LockRecord {
  readonly key: string
  /** The last fencing token given out for this key, or the store's floor. */
  readonly token: number
  readonly holders: readonly Holder[]
  /** First come, first served. */
  readonly queue: readonly Run[]
  /** The entities that want the holder kept even if it falls silent. */
  readonly pins: readonly string[]
  /** Wall time of the last change, in ms since 1970: for display, and for the age of an idle record. `undefined` if storelock 0.1 wrote it. */
  readonly changedAt?: number | undefined
  /** The latest few, newest first, so that a session that lost a hold can learn how. */
  readonly evictions?: readonly Eviction[] | undefined
  /** The latest few, newest first, as long as a holder that was asked still holds the lock. */
  readonly asked?: readonly Asked[] | undefined
}

/** The highest limit: every holder is in the record, which each command reads and writes. */
export const maxLimit = 1_000

/**
 * The limit that all holders and waiters of a lock share, since requests with another one are refused. `undefined` if there is no limit, or no holder
 * or waiter.
 */
export const limitOf = ({ holders, queue }: Pick<LockRecord, 'holders' | 'queue'>): number | undefined => (holders[0] ?? queue[0])?.limit

/** Session rows by id. A map, since a session may be called `constructor` or `__proto__`, which every object has. */
export type Sessions = ReadonlyMap<string, SessionRow>

/** A record with the session rows that it leans on. */
export interface LockView extends LockRecord {
  readonly sessions: Sessions
}

/** Whether nobody holds, waits for or pins a lock. Holds and requests of ended sessions do not count. */
export const isIdle = ({ holders, queue, pins, sessions }: LockView): boolean =>
  !pins.length && ![...holders, ...queue].some(({ session }) => sessions.has(session))

/** How many requests wait in some runs of a queue. */
export const requestsIn = (runs: readonly Pick<Run, 'from' | 'to'>[]): number => runs.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** Whether a record names no holder, no waiter and no pin. */
export const isEmpty = ({ holders, queue, pins }: LockRecord): boolean => !holders.length && !queue.length && !pins.length

/**
 * A record with the session rows that it leans on, as `rowOf` finds them.
 * @param reader the session that looks: only the rows that it needs are included, however many wait
 */
export function viewOf(record: LockRecord, rowOf: (session: string) => SessionRow | undefined, reader?: string): LockView {
  const sessions = new Map<string, SessionRow>()
  for (const { session } of [...record.holders, ...(reader === undefined ? record.queue : runsFor(record, reader))]) {
    const row = sessions.has(session) ? undefined : rowOf(session)
    if (row) sessions.set(session, row)
  }
  const { key, token, holders, queue, pins, changedAt, evictions, asked } = record
  return { key, token, holders, queue, pins, changedAt, evictions, asked, sessions }
}

/** The existing rows of these sessions. */
export const rowsOf = (ids: readonly string[], rowOf: (session: string) => SessionRow | undefined): Map<string, SessionRow> =>
  new Map(ids.flatMap((id) => [rowOf(id)].flatMap((row) => (row ? [[id, row] as const] : []))))

/**
 * The runs whose session rows a reader needs: the head of the queue, its own run and the one in front of it (without an own run, the last one) and,
 * if it holds the lock, the runs that ask.
 */
function runsFor({ holders, queue }: LockRecord, reader: string): Run[] {
  const own = queue.findIndex(({ session }) => session === reader)
  const near = [queue[0], queue[own], own < 0 ? queue.at(-1) : queue[own - 1]].filter((run) => run !== undefined)
  return holders.some(({ session }) => session === reader) ? [...near, ...queue.filter(({ ask }) => ask !== undefined)] : near
}

/** A new record for a key that has none, at the store's floor: the highest token of any record that was dropped. */
export const emptyRecord = (key: string, floor = 0): LockRecord => ({ key, token: floor, holders: [], queue: [], pins: [] })

/** A view of a key that has no record. */
export const emptyView = (key: string): LockView => ({ ...emptyRecord(key), sessions: new Map() })

/** How the hold with this token was taken. `undefined` if it was not, or if so many holds were taken since that the record no longer says. */
export const evictionOf = ({ evictions }: LockRecord, token: number): Eviction['how'] | undefined =>
  evictions?.find(({ from, to }) => from <= token && token <= to)?.how

/** How a hold that is gone from the record was lost. If the record shows no eviction, its session has ended. */
export const lossOf = (record: LockRecord, token: number): LossReason => evictionOf(record, token) ?? 'ended'

/** The counter that shows that a hold is alive; `undefined` when its session has ended. */
export const seqOf = (holder: Holder, sessions: Sessions): number | undefined => holder.seq ?? sessions.get(holder.session)?.seq

/** The last of a grant's tokens: its own, or the last one in reserve. */
export const lastTokenOf = ({ token, reserve = 0 }: Pick<Holder, 'token' | 'reserve'>): number => token + reserve

/** How long a hold may be silent, in ms; 0 when its session has ended. */
export const leaseOf = (holder: Holder, sessions: Sessions): number =>
  holder.unconfirmed?.confirm ?? holder.lease ?? sessions.get(holder.session)?.lease ?? 0

/** When a hold ends by the wall clock unless it is renewed: a hint to look, never a reason to evict. */
export const expiryOf = (holder: Holder, sessions: Sessions): number =>
  Math.max(holder.expiresAt, holder.seq === undefined ? (sessions.get(holder.session)?.expiresAt ?? 0) : 0)
