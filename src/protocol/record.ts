/** Plain data, as JSON knows it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** `exclusive`: one holder at a time. `shared`: any number of shared holders together. */
export type Mode = 'exclusive' | 'shared'

/** What a request asks for. A waiter keeps it in the queue, a holder as long as it holds. */
export interface Claim {
  readonly session: string
  /** The context behind the session: it stays the same when a page's session ends and a new one starts. */
  readonly client: string
  readonly mode: Mode
  /** A lease of the hold's own in ms; without it the hold leans on its session's row. */
  readonly lease?: number | undefined
  readonly metadata?: Json | undefined
  /** How many more tokens to have for using the same grant again, since its session may keep it for a while. */
  readonly reserve?: number | undefined
}

/** How a grant that someone else's command made is confirmed, or lapses. */
export interface Confirmation {
  /** The short lease, in ms, until the owner confirms. */
  readonly confirm: number
  /** How often a grant to this waiter has lapsed before. */
  readonly lapses: number
}

export interface Holder extends Claim {
  /** The request that this answers. */
  readonly number: number
  /** The fencing token: higher than that of every grant of this key before. The first of several, where it has a `reserve`. */
  readonly token: number
  /** The key's last token before this grant; 0 if there was none. Tells whether someone held it in between. */
  readonly previous: number
  /** Wall time of the grant, in ms since 1970: shown and never relied on. `undefined` if storelock 0.1 wrote it. */
  readonly since?: number | undefined
  /** Wall time, shown and never relied on. A hold that leans on its session has the row's as well. */
  readonly expiresAt: number
  /** Its own renewal counter, below zero so that it is never taken for a session's. */
  readonly seq?: number | undefined
  /** Set until the owner confirms a grant that someone else's command made. */
  readonly unconfirmed?: Confirmation | undefined
}

/** Consecutive, like requests of one session: `from` to `to`, both included. */
export interface Run extends Claim, Confirmation {
  readonly from: number
  readonly to: number
  /** What it says to the holders, whom it asks to let go. */
  readonly ask?: Json | undefined
}

/** A session's row: its sign of life, on which all its plain holds lean. */
export interface SessionRow {
  readonly id: string
  readonly client: string
  /** Raised by every beat. */
  readonly seq: number
  /** In ms: four thirds of the duration that its holds are promised. */
  readonly lease: number
  /** Wall time, shown and never relied on. */
  readonly expiresAt: number
  /** How many of its holds others have evicted or robbed. */
  readonly evictions: number
  /** How often others have asked for one of its holds. */
  readonly asks: number
  /** The keys that the latest of these two counts were about, since its last beat. A hint: whether any are missing, the counts tell. */
  readonly news?: readonly string[] | undefined
  readonly label?: string | undefined
  /** Where to watch for the proof of its death. */
  readonly beacon?: string | undefined
  /** The `seq` at which someone asked it to show that it lives; it answers with a beat. */
  readonly challenged?: number | undefined
}

/**
 * How a lock was lost, stable as the codes are.
 *
 * - `stolen`: another request took it, by `steal`.
 * - `revoked`: somebody took it by `revoke`.
 * - `expired`: its time was over: it was not renewed in time, or held for its `maxHold`.
 * - `ended`: its session is over, or what the store kept of it is gone. Its page was left, its beacon went out, it was given up as dead, or
 *   its store was closed, cleared or lost.
 */
export type LossReason = 'stolen' | 'revoked' | 'expired' | 'ended'

/** Holds that one command took from their sessions: those with tokens `from` to `to` that were there. */
export interface Eviction {
  readonly from: number
  readonly to: number
  readonly how: Exclude<LossReason, 'ended'>
}

/** What a request asked the holders that has left the queue since, ungranted: they may not have heard it. */
export interface Asked extends Run {
  /** The label of its session, which may have ended. */
  readonly label?: string | undefined
  /** The key's last token when it left: those who were granted the lock later were not asked. */
  readonly token: number
}

/** A lock's whole state. Every change makes a new one. */
export interface LockRecord {
  readonly key: string
  /** The last fencing token given out for this key, or the store's floor. */
  readonly token: number
  readonly holders: readonly Holder[]
  /** First come, first served. */
  readonly queue: readonly Run[]
  /** Who wants the holder kept even if it falls silent. */
  readonly pins: readonly string[]
  /** Wall time of its last change, in ms since 1970: shown, and what tells an idle record's age. `undefined` if storelock 0.1 wrote it. */
  readonly changedAt?: number | undefined
  /** The last few, the newest first: for those who lost a hold to learn how. */
  readonly evictions?: readonly Eviction[] | undefined
  /** The last few, the newest first, as long as somebody holds the lock whom they asked. */
  readonly asked?: readonly Asked[] | undefined
}

/** By id. A map, since a session may be called `constructor` or `__proto__`, which every object has. */
export type Sessions = ReadonlyMap<string, SessionRow>

/** A record and the session rows that it leans on. */
export interface LockView extends LockRecord {
  readonly sessions: Sessions
}

/** Whether nobody holds, wants or pins a lock. What sessions had that have ended is void. */
export const isIdle = ({ holders, queue, pins, sessions }: LockView): boolean =>
  !pins.length && ![...holders, ...queue].some(({ session }) => sessions.has(session))

/** Whether a record names no holder, no waiter and no pin. */
export const isEmpty = ({ holders, queue, pins }: LockRecord): boolean => !holders.length && !queue.length && !pins.length

/**
 * A record with the session rows that it leans on, as `rowOf` finds them.
 * @param reader the session that looks: only the rows it needs are there then, however many wait
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

/** The rows of those of these sessions that stand. */
export const rowsOf = (ids: readonly string[], rowOf: (session: string) => SessionRow | undefined): Map<string, SessionRow> =>
  new Map(ids.flatMap((id) => [rowOf(id)].flatMap((row) => (row ? [[id, row] as const] : []))))

/** The runs whose sessions matter to one that looks: the head of the queue, its own and the one before it, and to a holder those that ask. */
function runsFor({ holders, queue }: LockRecord, reader: string): Run[] {
  const own = queue.findIndex(({ session }) => session === reader)
  const near = [queue[0], queue[own], own < 0 ? queue.at(-1) : queue[own - 1]].filter((run) => run !== undefined)
  return holders.some(({ session }) => session === reader) ? [...near, ...queue.filter(({ ask }) => ask !== undefined)] : near
}

/** The record of a key that has none, at the store's floor: the highest token it ever dropped. */
export const emptyRecord = (key: string, floor = 0): LockRecord => ({ key, token: floor, holders: [], queue: [], pins: [] })

/** The view of a key that has no record. */
export const emptyView = (key: string): LockView => ({ ...emptyRecord(key), sessions: new Map() })

/** How the hold of a token was taken, if it was, and not too many others since. */
export const evictionOf = ({ evictions }: LockRecord, token: number): Eviction['how'] | undefined =>
  evictions?.find(({ from, to }) => from <= token && token <= to)?.how

/** How a hold was lost that a record does not name any more: its session has ended, if nobody took it. */
export const lossOf = (record: LockRecord, token: number): LossReason => evictionOf(record, token) ?? 'ended'

/** What shows that a hold is alive: the counter it leans on, `undefined` when its session has ended. */
export const seqOf = (holder: Holder, sessions: Sessions): number | undefined => holder.seq ?? sessions.get(holder.session)?.seq

/** The last of a grant's tokens: the one it was given, or the last that it has in reserve. */
export const lastTokenOf = ({ token, reserve = 0 }: Pick<Holder, 'token' | 'reserve'>): number => token + reserve

/** How long a hold may be silent, in ms; 0 when its session has ended. */
export const leaseOf = (holder: Holder, sessions: Sessions): number =>
  holder.unconfirmed?.confirm ?? holder.lease ?? sessions.get(holder.session)?.lease ?? 0

/** When a hold ends by the wall clock unless it is renewed: a hint to look, never a reason to take. */
export const expiryOf = (holder: Holder, sessions: Sessions): number =>
  Math.max(holder.expiresAt, holder.seq === undefined ? (sessions.get(holder.session)?.expiresAt ?? 0) : 0)
