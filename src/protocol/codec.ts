import { LockError } from './errors.ts'
import { type Asked, type Claim, type Holder, type LockRecord, type Mode, maxLimit, type Run, type SessionRow } from './record.ts'

/** The version of the stored form. A store leaves records of a newer version alone. */
export const schemaVersion = 1
/**
 * The version of records with a limit. A storelock that does not know limits would let in one holder at a time, or forget the limit, so it must
 * refuse these.
 */
const limitVersion = 2

/**
 * Encodes a record as the text that stores keep: JSON of short arrays, because encoding a long queue takes most of the time.
 * @see {@link decodeRecord}, its inverse
 */
export function encodeRecord(record: LockRecord): string {
  const { token, holders, queue, pins } = record
  // All holders and waiters have the same limit.
  const version = (holders[0] ?? queue[0])?.limit ? limitVersion : schemaVersion
  return `[${version},${token},[${holders.map(encodeHolder)}],[${queue.map(encodeRun)}],${pins.length ? JSON.stringify(pins) : '[]'}${encodePast(record)}]`
}

/** Most holders are plain, and no other part of a record is written as often. Building their text by hand takes half the time. */
function encodeHolder(holder: Holder): string {
  const { session, client, mode, limit, number, token, reserve, previous, expiresAt, lease, seq, unconfirmed, metadata } = holder
  if (lease !== undefined || seq !== undefined || unconfirmed || metadata !== undefined) return JSON.stringify(packHolder(holder))
  return `[${JSON.stringify(session)},${JSON.stringify(client)},${mode === 'shared' ? 1 : (limit ?? 0)},${number},${token},${reserve ?? null},${previous},${expiresAt}]`
}

/**
 * When the record changed; since when each holder has had the lock, if that differs; evictions and asks, if there are any. Storelock 0.1 wrote none
 * of these.
 */
function encodePast({ holders, changedAt, evictions, asked }: LockRecord): string {
  if (changedAt === undefined) return ''
  const times = holders.every(({ since }) => since === changedAt) ? undefined : JSON.stringify(holders.map(({ since }) => since))
  if (!evictions && !asked) return times ? `,${changedAt},${times}` : `,${changedAt}`
  const taken = evictions ? JSON.stringify(evictions.map(({ from, to, how }) => [from, to, how])) : null
  return `,${changedAt},${times ?? null},${taken}${asked ? `,${JSON.stringify(asked.map(packAsked))}` : ''}`
}

const runTexts = new WeakMap<Run, string>()

/** Most of a long queue stays the same from one command to the next, so each run is encoded only once. */
function encodeRun(run: Run): string {
  const known = runTexts.get(run)
  if (known !== undefined) return known
  const text = JSON.stringify(packRun(run))
  if (isFixed(run)) runTexts.set(run, text)
  return text
}

/** Whether nothing in a record can change: metadata and asks are the caller's objects, which the caller may change. */
export const isAllFixed = ({ holders, queue, asked }: LockRecord): boolean => holders.every(isFixed) && queue.every(isFixed) && !asked

const isFixed = ({ metadata, ask }: Claim & Pick<Run, 'ask'>): boolean => metadata === undefined && ask === undefined

/** @throws LockError `corrupt`, naming the key, if the text is not a record; `store` if a newer version wrote it. */
export function decodeRecord(key: string, text: unknown): LockRecord {
  const [, token, holders, queue, pins, changedAt, times, evictions, asked] = parse(
    () => `the record of ${JSON.stringify(key)}`,
    text,
    (fields) => {
      const [version, token, holders, queue, pins, changedAt, times, evictions, asked] = fields
      const [holderShape, runShape] = version === limitVersion ? limitShapes : shapes
      return (
        isInteger(token) &&
        areRows(holders, holderShape) &&
        holders.every((holder) => (holder[5] ?? 0) >= 0 && holder[4] + (holder[5] ?? 0) <= token) &&
        areRows(queue, runShape) &&
        queue.every((run) => run[3] <= run[4]) &&
        Array.isArray(pins) &&
        pins.every((pin) => typeof pin === 'string') &&
        (changedAt === undefined || Number.isFinite(changedAt)) &&
        (times == null ||
          (Array.isArray(times) && times.length === holders.length && times.every((time) => time === null || Number.isFinite(time)))) &&
        (evictions == null || areRows(evictions, 'nns')) &&
        (asked === undefined || (areRows(asked, 'nS') && areRows(asked.map(askedRun), runShape)))
      )
    },
  )
  const sinceOf = (index: number): number | undefined => (times ? (times[index] ?? undefined) : changedAt)
  return {
    key,
    token,
    holders: holders.map((fields: Packed, index: number) => unpackHolder(fields, sinceOf(index))),
    queue: queue.map(unpackRun),
    pins,
    changedAt,
    evictions: evictions?.map(([from, to, how]: Packed) => ({ from, to, how })),
    asked: asked?.map(unpackAsked),
  }
}

export const encodeSession = ({ client, seq, lease, expiresAt, evictions, label, beacon, challenged, asks, news }: SessionRow): string =>
  JSON.stringify([schemaVersion, client, seq, lease, expiresAt, evictions, label, beacon, challenged, asks, ...(news ? [news] : [])])

/** @throws LockError `corrupt` or `store`, as {@link decodeRecord} */
export function decodeSession(id: string, text: unknown): SessionRow {
  const fields = parse(
    () => `the row of session ${id}`,
    text,
    (row) => fits(row, 'snttnSSNn', 1),
    schemaVersion,
  )
  const [, client, seq, lease, expiresAt, evictions, label, beacon, challenged, asks, news] = fields
  return {
    ...{ id, client, seq, lease, expiresAt, evictions, asks },
    label: label ?? undefined,
    beacon: beacon ?? undefined,
    challenged: challenged ?? undefined,
    // Older versions do not write `news`.
    ...(Array.isArray(news) && { news: news.map(String) }),
  }
}

/** The shapes of a holder and of a run. In a record with a limit, every holder and every run has it. */
const shapes = ['ssmnnNntTNTN', 'ssmnntnTN'] as const
const limitShapes = ['sslnnNntTNTN', 'sslnntnTN'] as const

// biome-ignore lint/suspicious/noExplicitAny: the shape is checked before the fields are used
type Packed = any[]

function packHolder(holder: Holder): Packed {
  const { session, client, number, token, reserve, previous, expiresAt, lease, seq, unconfirmed, metadata } = holder
  const fields = [session, client, kindOf(holder), number, token, reserve, previous, expiresAt, lease, seq, unconfirmed?.confirm, unconfirmed?.lapses]
  return withMetadata(fields, metadata)
}

function unpackHolder(fields: Packed, since: number | undefined): Holder {
  const [session, client, kind, number, token, reserve, previous, expiresAt, lease, seq, confirm, lapses, metadata] = fields
  const unconfirmed = confirm == null ? undefined : { confirm, lapses: lapses ?? 0 }
  return {
    session,
    client,
    mode: modeOf(kind),
    limit: kind > 1 ? kind : undefined,
    lease: lease ?? undefined,
    metadata,
    reserve: reserve ?? undefined,
    number,
    token,
    previous,
    since,
    expiresAt,
    seq: seq ?? undefined,
    unconfirmed,
  }
}

function packRun(run: Run): Packed {
  const { session, client, from, to, confirm, lapses, lease, metadata, reserve, ask } = run
  const fields = [session, client, kindOf(run), from, to, confirm, lapses, lease, reserve]
  return withMetadata(fields, ask === undefined && metadata === undefined ? undefined : { metadata, ask })
}

function unpackRun([session, client, kind, from, to, confirm, lapses, lease, reserve, more]: Packed): Run {
  return {
    session,
    client,
    mode: modeOf(kind),
    limit: kind > 1 ? kind : undefined,
    lease: lease ?? undefined,
    metadata: more?.metadata,
    reserve: reserve ?? undefined,
    from,
    to,
    confirm,
    lapses,
    ask: more?.ask,
  }
}

const packAsked = (asked: Asked): Packed => [asked.token, asked.label, packRun(asked)]

const askedRun = ([, , run]: Packed): Packed => run

const unpackAsked = ([token, label, run]: Packed): Asked => ({ ...unpackRun(run), token, label: label ?? undefined })

/** How a claim holds the lock, as a number: 0 exclusive, 1 shared, n as one of up to n holders. */
const kindOf = ({ mode, limit = 0 }: Claim): number => (mode === 'shared' ? 1 : limit)

const modeOf = (kind: number): Mode => (kind === 1 ? 'shared' : 'exclusive')

/** Puts metadata last in its array, so that `null` differs from no metadata. Without metadata, leaves out missing fields at the end. */
function withMetadata(fields: Packed, metadata: unknown): Packed {
  if (metadata !== undefined) fields.push(metadata)
  else while (fields[fields.length - 1] === undefined) fields.pop()
  return fields
}

function parse(what: () => string, text: unknown, check: (fields: Packed) => boolean, newest = limitVersion): Packed {
  let fields: unknown
  try {
    fields = JSON.parse(text as string)
  } catch {
    fields = undefined
  }
  if (Array.isArray(fields) && isInteger(fields[0]) && fields[0] > newest) {
    throw new LockError('store', `${what()} was written by a newer storelock (format ${fields[0]}, this one knows ${newest}): update storelock`)
  }
  if (!Array.isArray(fields) || !isInteger(fields[0]) || fields[0] < schemaVersion || !check(fields)) {
    throw new LockError('corrupt', `${what()} cannot be read; it was left as it is`)
  }
  return fields
}

const isInteger = Number.isSafeInteger as (value: unknown) => value is number

const areRows = (rows: unknown, shape: string): rows is Packed[] => Array.isArray(rows) && rows.every((row) => Array.isArray(row) && fits(row, shape))

/** Whether fields have the types of a shape: `s` string, `n` integer, `t` time in ms, `m` mode, `l` limit; a capital letter means optional. */
function fits(fields: readonly unknown[], shape: string, from = 0): boolean {
  for (let index = 0; index < shape.length; index++) {
    const type = shape.charAt(index)
    const field = fields[from + index]
    const right =
      field == null
        ? type < 'a'
        : type === 'm'
          ? field === 0 || field === 1
          : type === 'l'
            ? isInteger(field) && field > 1 && field <= maxLimit
            : type === 's' || type === 'S'
              ? typeof field === 'string'
              : type === 'n' || type === 'N'
                ? isInteger(field)
                : Number.isFinite(field)
    if (!right) return false
  }
  return true
}
