import { LockError } from './errors.ts'
import type { Holder, LockRecord, Run, SessionRow } from './record.ts'

/** The version of the stored form. A newer one is left alone. */
export const schemaVersion = 1

/**
 * A record as the text that stores keep: JSON of short arrays, since with many waiters reading and writing it is the cost.
 * @see {@link decodeRecord}, its inverse
 */
export const encodeRecord = ({ token, holders, queue, pins }: LockRecord): string =>
  JSON.stringify([schemaVersion, token, holders.map(packHolder), queue.map(packRun), pins])

/** @throws LockError `corrupt`, naming the key, if the text is not a record; `store` if a newer version wrote it. */
export function decodeRecord(key: string, text: unknown): LockRecord {
  const [, token, holders, queue, pins] = parse(`the record of ${JSON.stringify(key)}`, text, (fields) => {
    const [, token, holders, queue, pins] = fields
    return (
      isInteger(token) &&
      areRows(holders, holderShape) &&
      holders.every((holder) => holder[4] <= token) &&
      areRows(queue, runShape) &&
      queue.every((run) => run[3] <= run[4]) &&
      Array.isArray(pins) &&
      pins.every((pin) => typeof pin === 'string')
    )
  })
  return { key, token, holders: holders.map(unpackHolder), queue: queue.map(unpackRun), pins }
}

export const encodeSession = ({ client, seq, lease, expiresAt, evictions, label, beacon, challenged }: SessionRow): string =>
  JSON.stringify([schemaVersion, client, seq, lease, expiresAt, evictions, label, beacon, challenged])

/** @throws LockError `corrupt` or `store`, as {@link decodeRecord} */
export function decodeSession(id: string, text: unknown): SessionRow {
  const fields = parse(`the row of session ${id}`, text, (row) => fits(row.slice(1), 'snttnSSN'))
  const [, client, seq, lease, expiresAt, evictions, label, beacon, challenged] = fields
  return { id, client, seq, lease, expiresAt, evictions, label: label ?? undefined, beacon: beacon ?? undefined, challenged: challenged ?? undefined }
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is checked before the fields are used
type Packed = any[]

const packHolder = (holder: Holder): Packed => [
  ...[holder.session, holder.client, holder.mode === 'shared' ? 1 : 0, holder.number, holder.token, holder.previous],
  ...[holder.expiresAt, holder.lease, holder.seq, holder.unconfirmed?.confirm, holder.unconfirmed?.lapses],
  ...wrap(holder.metadata),
]

const holderShape = 'ssmnnntTNTN'

const unpackHolder = ([session, client, shared, number, token, previous, expiresAt, lease, seq, confirm, lapses, metadata]: Packed): Holder => ({
  ...{ session, client, mode: shared ? 'shared' : 'exclusive', number, token, previous, expiresAt },
  ...{ lease: lease ?? undefined, seq: seq ?? undefined, unconfirmed: confirm == null ? undefined : { confirm, lapses: lapses ?? 0 }, metadata },
})

const packRun = (run: Run): Packed => [
  ...[run.session, run.client, run.mode === 'shared' ? 1 : 0, run.from, run.to, run.confirm, run.lapses, run.lease],
  ...wrap(run.metadata),
]

const runShape = 'ssmnntnT'

const unpackRun = ([session, client, shared, from, to, confirm, lapses, lease, metadata]: Packed): Run => ({
  ...{ session, client, mode: shared ? 'shared' : 'exclusive', from, to, confirm, lapses, lease: lease ?? undefined, metadata },
})

/** Last in its array, so that metadata of `null` and none stay apart. */
const wrap = (metadata: unknown): unknown[] => (metadata === undefined ? [] : [metadata])

function parse(what: string, text: unknown, check: (fields: Packed) => boolean): Packed {
  let fields: unknown
  try {
    fields = JSON.parse(text as string)
  } catch {
    fields = undefined
  }
  if (Array.isArray(fields) && isInteger(fields[0]) && fields[0] > schemaVersion) {
    throw new LockError('store', `${what} was written by a newer storelock (format ${fields[0]}, this one knows ${schemaVersion}): update storelock`)
  }
  if (!Array.isArray(fields) || fields[0] !== schemaVersion || !check(fields)) {
    throw new LockError('corrupt', `${what} cannot be read; it was left as it is`)
  }
  return fields
}

const isInteger = Number.isSafeInteger as (value: unknown) => value is number

const areRows = (rows: unknown, shape: string): rows is Packed[] => Array.isArray(rows) && rows.every((row) => Array.isArray(row) && fits(row, shape))

/** Whether fields have the types of a shape: `s` string, `n` whole number, `t` time in ms, `m` mode; in capitals: or none. */
const fits = (fields: readonly unknown[], shape: string): boolean =>
  [...shape].every((type, index) => {
    const field = fields[index]
    if (field == null) return type === type.toUpperCase()
    if (type === 'm') return field === 0 || field === 1
    if (type === 's' || type === 'S') return typeof field === 'string'
    return type === 'n' || type === 'N' ? isInteger(field) : Number.isFinite(field)
  })
