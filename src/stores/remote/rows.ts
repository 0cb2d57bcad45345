import {
  type Changes,
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  type Ground,
  LockError,
  type LockRecord,
  type Outcome,
  type SessionRow,
} from '../../protocol/index.ts'

/** A row as an engine keeps it: a text under an id, and a version that differs after every change, even if the row was deleted in between. */
export interface Row<Version> {
  readonly text: string
  readonly version: Version
}

/** A row to be written. */
export interface Write {
  readonly text: string
  /** The record, if `text` is an encoded record. */
  readonly record?: LockRecord | undefined
  /**
   * Whether this record has a new holder, or one was evicted: user transactions that have checked the lock must end before this write is committed.
   */
  readonly takesOver?: boolean | undefined
  /** The session, if `text` is an encoded session. */
  readonly session?: SessionRow | undefined
}

/** The id of a record's row. */
export const recordId = (key: string): string => `r:${key}`
/** The id of a session's row. */
export const sessionId = (id: string): string => `s:${id}`
/** The id of the row with the highest token of any record that was dropped. */
export const floorId = 'floor'

/** Whether every engine can keep a row with this id: some refuse NULs, and lone surrogates would all become the same character. */
export const isStorable = (id: string): boolean => !/\0|\p{Surrogate}/u.test(id)

/** A row that is remembered, with its decoded contents: rows are used again and again, and decoding takes longer than the rest of a batch. */
interface Remembered<Version> extends Row<Version> {
  record?: LockRecord | undefined
  session?: SessionRow | undefined
}

/** The row that a write has produced. */
export function rowOf<Version>({ text, record, session }: Write, version: Version): Row<Version> {
  // Users may change objects of theirs afterwards, so a record with such objects is decoded anew.
  const row: Remembered<Version> = { text, version, record: record && hasUsersObjects(record) ? undefined : record, session }
  return row
}

const hasUsersObjects = ({ holders, queue, asked }: LockRecord): boolean =>
  asked !== undefined ||
  holders.some(({ metadata }) => metadata !== undefined) ||
  queue.some(({ metadata, ask }) => metadata !== undefined || ask !== undefined)

/** How many rows are remembered. */
const capacity = 1_000

/** Rows as they were last seen, including rows that did not exist. */
export class Memory<Version> {
  readonly #rows = new Map<string, Row<Version> | undefined>()

  has(id: string): boolean {
    return this.#rows.has(id)
  }

  get(id: string): Row<Version> | undefined {
    return this.#rows.get(id)
  }

  set(id: string, row: Row<Version> | undefined): void {
    // The row that was set longest ago is dropped first.
    this.#rows.delete(id)
    this.#rows.set(id, row)
    if (this.#rows.size > capacity) this.#rows.delete(this.#rows.keys().next().value as string)
  }

  forget(ids: Iterable<string>): void {
    for (const id of ids) this.#rows.delete(id)
  }
}

/** What a batch reads: rows that were fetched for it, otherwise, as a guess, remembered rows. */
export class Known<Version> implements Ground {
  readonly now: number
  /** The rows that the batch has read. */
  readonly used = new Map<string, Row<Version> | undefined>()
  /** The ids of those that have to be fetched; until then they count as missing. */
  readonly unknown = new Set<string>()
  readonly #fetched: ReadonlyMap<string, Row<Version> | undefined> | undefined
  readonly #memory: Memory<Version>

  constructor(now: number, fetched: ReadonlyMap<string, Row<Version> | undefined> | undefined, memory: Memory<Version>) {
    this.now = now
    this.#fetched = fetched
    this.#memory = memory
  }

  get floor(): number {
    return Number(this.#get(floorId)?.text ?? 0)
  }

  record(key: string): LockRecord | undefined {
    const row = this.#get(recordId(key))
    return row && (row.record ?? decodeRecord(key, row.text))
  }

  session(id: string): SessionRow | undefined {
    const row = this.#get(sessionId(id))
    if (row) row.session ??= decodeSession(id, row.text)
    return row?.session
  }

  /** What a beat shows of other sessions is asked of the engine separately. */
  stale(): readonly SessionRow[] {
    return []
  }

  #get(id: string): Remembered<Version> | undefined {
    if (!isStorable(id))
      throw new LockError('invalid', `${JSON.stringify(id.slice(2))} has a NUL character or a lone surrogate, which cannot be stored`)
    const fetched = this.#fetched?.has(id) === true
    if (!fetched && !this.#memory.has(id)) this.unknown.add(id)
    const row = fetched ? this.#fetched?.get(id) : this.#memory.get(id)
    this.used.set(id, row)
    return row
  }
}

/** The writes for a batch's changes, by row id; `undefined` means delete. */
export function writesOf(
  { outcomes, records, sessions, floor }: Changes,
  used: ReadonlyMap<string, Row<unknown> | undefined>,
): Map<string, Write | undefined> {
  const writes = new Map<string, Write | undefined>()
  const put = (id: string, write: Write | undefined): void => {
    if (write?.text !== used.get(id)?.text) writes.set(id, write)
  }
  const taken = new Set<string>()
  for (const outcome of outcomes) if ('record' in outcome && takesOver(outcome)) taken.add(outcome.record.key)
  for (const [key, record] of records) put(recordId(key), record && { text: encodeRecord(record), record, takesOver: taken.has(key) })
  for (const [id, session] of sessions) put(sessionId(id), session && { text: encodeSession(session), session })
  if (floor !== undefined) put(floorId, { text: String(floor) })
  return writes
}

const takesOver = (outcome: Outcome): boolean =>
  'grants' in outcome && (outcome.grants.length > 0 || outcome.evicted.length > 0 || (outcome.type === 'granted' && !outcome.repeated))
