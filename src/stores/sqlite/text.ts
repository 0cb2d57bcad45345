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

/** What comes after all texts that start with a prefix, in the order of SQLite; a blob, which comes after all texts, where no text does. */
export function endOf(prefix: string): string | Uint8Array {
  const points = Array.from(prefix, (char) => char.codePointAt(0) as number)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return new Uint8Array()
  // What lies between are no characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
