import {
  type Command,
  decodeRecord,
  decodeSession,
  encodeSession,
  type LockRecord,
  type LockView,
  type Outcome,
  rowsOf,
  runBatch,
  type SessionRow,
  viewOf,
} from '../../protocol/index.ts'
import type { Part } from '../../store.ts'
import { apartTable, isIdleText, makeApart, type StoredRecord } from './apart.ts'
import type { SqliteDatabase, SqliteStatement } from './driver.ts'
import { makeGlance } from './glance.ts'
import { makeSwap } from './swap.ts'
import { endOf, textOf } from './text.ts'
import type { Within } from './transaction.ts'

/** Our tables in one database. If the database is busy, the methods throw the engine's error and do nothing. */
export interface Tables {
  /** Carries out commands in one transaction. @param alongside writes in the same transaction */
  apply(commands: readonly Command[], now: number, alongside?: (outcomes: readonly Outcome[]) => void): Outcome[]
  /** Carries out commands in the current write transaction of this connection. */
  applyWithin(commands: readonly Command[], now: number): Outcome[]
  /** @param reader as in the contract of a store: the result is then shared */
  read(key: string, reader?: string): LockView | undefined
  rows(sessions: readonly string[]): Map<string, SessionRow>
  list(prefix: string, part: Part): LockView[]
  /** In the order of code points. */
  page(prefix: string, after: string | undefined, limit: number, part: Part): LockView[]
  /** Moves some idle records to a table of their own. @returns whether there may be more */
  putApart(now: number): boolean
}

/** How many session rows a beat returns. */
const shown = 16

export const isBeat = ({ type }: Command): boolean => type === 'beat'

/** How a page of records is read: from all records, from the busy ones alone, and from the idle ones that were moved. */
interface Page {
  readonly all: SqliteStatement
  readonly busy: SqliteStatement
  apart(table: string): string
}

/** @param own whether only the store begins transactions on this connection */
export function openTables(db: SqliteDatabase, within: Within, own: boolean): Tables {
  const findAll = db.prepare('SELECT 1 FROM storelock_meta, storelock_records LIMIT 0')
  const getFloor = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'floor'`)
  const raiseFloor = db.prepare(`UPDATE storelock_meta SET value = max(value, ?) WHERE name = 'floor'`)
  const getRecord = db.prepare('SELECT record FROM storelock_records WHERE key = ?')
  const apart = makeApart(db)
  const inPrefix = 'WHERE key >= ? AND substr(key, 1, length(?)) = ?'
  const listRecords = db.prepare(`SELECT key, record FROM storelock_records ${inPrefix}`)
  const listBusy = db.prepare(`SELECT key, record FROM storelock_records ${inPrefix} AND NOT ${isIdleText}`)
  const pageOf = (table: string, from: string, and = ''): string =>
    `SELECT key, record FROM ${table} WHERE key ${from} ? AND key < ?${and} ORDER BY key LIMIT ?`
  const [firstPage, nextPage] = ['>=', '>'].map((from) => ({
    all: db.prepare(pageOf('storelock_records', from)),
    busy: db.prepare(pageOf('storelock_records', from, ` AND NOT ${isIdleText}`)),
    apart: (table: string) => pageOf(table, from),
  })) as [Page, Page]
  const putRecord = db.prepare('INSERT INTO storelock_records VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record')
  const dropRecord = db.prepare('DELETE FROM storelock_records WHERE key = ?')
  const getSession = db.prepare('SELECT session FROM storelock_sessions WHERE id = ?')
  const listStale = db.prepare(`SELECT id, session FROM storelock_sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ${shown}`)
  const listAfter = db.prepare('SELECT id, session FROM storelock_sessions WHERE id > ? ORDER BY id LIMIT ?')
  const listUpTo = db.prepare('SELECT id, session FROM storelock_sessions WHERE id <= ? ORDER BY id LIMIT ?')
  const putSession = db.prepare('INSERT OR REPLACE INTO storelock_sessions VALUES (?, ?, ?)')
  const dropSession = db.prepare('DELETE FROM storelock_sessions WHERE id = ?')
  const swap = makeSwap(db)
  // What the user writes through a shared handle does not change the counter.
  const glance = own ? makeGlance(db) : undefined

  /**
   * @param decode makes the record from its text, unless it is the one that was last seen here. Callers must not modify the result
   * @param cameFrom gets the key if the record was in the idle table
   */
  const readRecord = (key: string, decode: (key: string, text: string) => LockRecord, cameFrom?: Set<string>): LockRecord | undefined => {
    let text = (getRecord.get(key) as Pick<StoredRecord, 'record'> | undefined)?.record
    if (text === undefined) {
      text = apart.get(key)
      if (text === undefined) return undefined
      cameFrom?.add(key)
    }
    return swap.metRecord(key, text) ?? decode(key, text)
  }

  const readSession = (id: string): SessionRow | undefined => {
    const row = getSession.get(id) as { session: string } | undefined
    if (!row) return undefined
    const session = decodeSession(id, row.session)
    swap.sawSession(session, row.session)
    return session
  }

  /** Skips rows that cannot be decoded, because they must not make the beats of other sessions fail. */
  const readSome = (now: number, after: string | undefined): SessionRow[] => {
    const found = (after === undefined ? listStale.all(now) : listAfter.all(after, shown)) as { id: string; session: unknown }[]
    if (after !== undefined && found.length < shown) found.push(...(listUpTo.all(after, shown - found.length) as typeof found))
    return found.flatMap(({ id, session }) => {
      try {
        return [decodeSession(id, session)]
      } catch {
        return []
      }
    })
  }

  const transact = (commands: readonly Command[], now: number): Outcome[] => {
    // A beat alone would not notice that one of these tables was dropped.
    if (commands.some(isBeat)) findAll.all()
    const wereApart = new Set<string>()
    const rows = new Map<string, SessionRow | undefined>()
    const session = (id: string): SessionRow | undefined => {
      if (!rows.has(id)) rows.set(id, readSession(id))
      return rows.get(id)
    }
    const changes = runBatch(commands, {
      now,
      get floor() {
        return Number((getFloor.get() as { value: number | bigint }).value)
      },
      record: (key) => readRecord(key, decodeRecord, wereApart),
      session,
      stale: (after) => readSome(now, after),
    })
    if (changes.floor !== undefined) raiseFloor.run(changes.floor)
    for (const [key, record] of changes.records) {
      if (wereApart.has(key)) apart.drop(key)
      if (!record) {
        dropRecord.run(key)
        continue
      }
      const text = textOf(record)
      putRecord.run(key, text)
      swap.sawRecord(record, text)
    }
    for (const [id, row] of changes.sessions) {
      if (row === rows.get(id)) continue
      if (!row) {
        dropSession.run(id)
        continue
      }
      const text = encodeSession(row)
      putSession.run(id, row.expiresAt, text)
      swap.sawSession(row, text)
    }
    return changes.outcomes
  }

  const toView = ({ key, record }: StoredRecord): LockView => viewOf(decodeRecord(key, record), readSession)
  const allApart = (on: (table: string) => string, ...bound: unknown[]): StoredRecord[] =>
    (apart.statement(on)?.all(...bound) ?? []) as StoredRecord[]

  return {
    apply(commands, now, alongside) {
      glance?.forget()
      // A single statement would become part of a transaction that the user of a shared handle has begun.
      const atOnce = (): Outcome[] | false | undefined => own && swap.apply(commands, now)
      if (!alongside) return atOnce() || within('write', () => transact(commands, now))
      return within('write', () => {
        const outcomes = atOnce() || transact(commands, now)
        alongside(outcomes)
        return outcomes
      })
    },
    applyWithin(commands, now) {
      glance?.forget()
      return transact(commands, now)
    },
    read(key, reader) {
      const fresh = (): LockView | undefined =>
        within('read', () => {
          const record = readRecord(key, glance?.decode ?? decodeRecord)
          return record && viewOf(record, readSession, reader)
        })
      return glance ? glance.read(key, reader, fresh) : structuredClone(fresh())
    },
    rows: (sessions) => within('read', () => rowsOf(sessions, readSession)),
    list: (prefix, { busy }) =>
      within('read', () => {
        const rows = (busy ? listBusy : listRecords).all(prefix, prefix, prefix) as StoredRecord[]
        if (!busy) rows.push(...allApart((table) => `SELECT key, record FROM ${table} ${inPrefix}`, prefix, prefix, prefix))
        // SQLite orders by code points; JavaScript, and with it every other store, by UTF-16 code units.
        rows.sort((a, b) => (a.key < b.key ? -1 : 1))
        return rows.map(toView)
      }),
    page: (prefix, after, limit, { busy }) =>
      within('read', () => {
        const isFirst = after === undefined || Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0
        const page = isFirst ? firstPage : nextPage
        const bounds = [isFirst ? prefix : after, endOf(prefix), limit]
        const rows = (busy ? page.busy : page.all).all(...bounds) as StoredRecord[]
        if (!busy) {
          const others = allApart(page.apart, ...bounds)
          if (others.length) {
            rows.push(...others)
            rows.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
          }
        }
        return rows.slice(0, limit).map(toView)
      }),
    putApart(now) {
      if (!apart.isWorth(now)) return false
      if (!apart.statement((table) => `SELECT 1 FROM ${table}`)) within('write', () => db.exec(apartTable))
      glance?.forget()
      return within('write', () => apart.moveSome(now))
    },
  }
}
