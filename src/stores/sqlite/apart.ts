import type { SqliteDatabase, SqliteStatement } from './driver.ts'

/** A record as it is stored. */
export interface StoredRecord {
  readonly key: string
  readonly record: string
}

/**
 * The table of idle records. Records that have been idle for a while are moved here when busy ones are listed, and a record comes back when its lock
 * is wanted again. An index of the busy ones, or triggers, would make each grant and release write one more page.
 */
export interface Apart {
  get(key: string): string | undefined
  /** Removes a key's record from this table, because it comes back or is dropped. */
  drop(key: string): void
  /** The statement on the idle records that `on` makes from the name of their table; `undefined` if there is no such table. */
  statement(on: (table: string) => string): SqliteStatement | undefined
  /** Whether there are so many idle records among the busy ones that moving them pays off. */
  isWorth(now: number): boolean
  /** Moves some records, in the current write transaction of this connection. @returns whether there may be more */
  moveSome(now: number): boolean
}

/** An older storelock, which does not know this table, would start a new record with lower tokens: this trigger refuses that. */
export const apartTable = `
  CREATE TABLE IF NOT EXISTS storelock_idle (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TRIGGER IF NOT EXISTS storelock_idle_is_known AFTER INSERT ON storelock_records WHEN EXISTS (SELECT 1 FROM storelock_idle WHERE key = new.key)
    BEGIN SELECT RAISE(ABORT, 'this record was put apart by a newer storelock: update storelock'); END;
`

/** The part of a record's text that shows no holder, no waiter and no pin; the time of its last change follows. */
const idle = ',[],[],[]'
/** Recognizes an idle record's text without decoding it. */
export const isIdleText = `substr(record, instr(record, ',['), ${idle.length}) = '${idle}'`

/** How long a record is idle before it is moved, in ms: a lock in use is idle for a shorter time. */
const resting = 1_000
/** Fewer idle records than this stay where they are. */
const few = 16
/** How many records are moved in one transaction, which takes one or two milliseconds. */
const most = 100

export function makeApart(db: SqliteDatabase): Apart {
  const isThere = db.prepare(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'storelock_idle'`)
  const prepared = new Map<string, SqliteStatement>()
  let there = false

  /** Another process may make the table at any time. */
  const statement = (on: (table: string) => string): SqliteStatement | undefined => {
    there ||= isThere.get() !== undefined
    if (!there) return undefined
    const sql = on('storelock_idle')
    const made = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, made)
    return made
  }

  const find = db.prepare(
    // Records of storelock 0.1 do not say when they changed: they are old.
    `SELECT key, record FROM storelock_records WHERE ${isIdleText} AND CAST(substr(record, instr(record, '${idle},') + ${idle.length + 1}) AS INTEGER) < ? LIMIT ?`,
  )
  const remove = db.prepare('DELETE FROM storelock_records WHERE key = ?')

  return {
    statement,
    get: (key) => (statement((table) => `SELECT record FROM ${table} WHERE key = ?`)?.get(key) as StoredRecord | undefined)?.record,
    drop: (key) => void statement((table) => `DELETE FROM ${table} WHERE key = ?`)?.run(key),
    isWorth: (now) => find.all(now - resting, few).length === few,
    moveSome(now) {
      const found = find.all(now - resting, most) as StoredRecord[]
      const put = statement((table) => `INSERT OR REPLACE INTO ${table} VALUES (?, ?)`)
      for (const { key, record } of found) {
        put?.run(key, record)
        remove.run(key)
      }
      return found.length === most
    },
  }
}
