import { encodeRecord, type LockRecord } from '../../protocol/index.ts'

/** A long record takes a multiple of this many characters: four of them still fit into one of SQLite's pages, of 4,096 bytes. */
const unit = 1_000

/**
 * A record's text as it is stored. A long one is filled up with blanks: SQLite writes a row over in place if its length stays the same,
 * and else gives up the row's pages and takes others, which makes the commit take twice as long.
 */
export function textOf(record: LockRecord): string {
  const text = encodeRecord(record)
  return text.length < unit ? text : text.padEnd(Math.ceil(text.length / unit) * unit)
}
