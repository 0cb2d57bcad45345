import { encodeRecord, type LockRecord } from '../../protocol/index.ts'

/** Long records are padded to a multiple of this many characters: four of them still fit into one of SQLite's pages, of 4,096 bytes. */
const unit = 1_000

/**
 * A record's text as it is stored. A long one is padded with blanks: SQLite overwrites a row in place if its length stays the same; otherwise it
 * frees the row's pages and takes others, which makes the commit take twice as long.
 */
export function textOf(record: LockRecord): string {
  const text = encodeRecord(record)
  return text.length < unit ? text : text.padEnd(Math.ceil(text.length / unit) * unit)
}

/** The first value after all texts that start with a prefix, in SQLite's order; if there is no such text, a blob, which comes after all texts. */
export function endOf(prefix: string): string | Uint8Array {
  const points = Array.from(prefix, (char) => char.codePointAt(0) as number)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return new Uint8Array()
  // The code points in between are not characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
