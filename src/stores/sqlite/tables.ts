import {
  type Command,
  decodeRecord,
  decodeSession,
  encodeSession,
  type LockRecord,
  type LockView,
  type Outcome,
  runBatch,
  type SessionRow,
  viewOf,
} from '../../protocol/index.ts'
import type { Part } from '../../store.ts'
import type { SqliteDatabase } from './driver.ts'
import { makeGlance } from './glance.ts'
import { makeSwap } from './swap.ts'
import { endOf, textOf } from './text.ts'
import type { Within } from './transaction.ts'

/** Our tables in one database. If that is busy, its methods throw the engine's error and have done nothing. */
export interface Tables {
  /** Carries out commands, all at once. */
  apply(commands: readonly Command[], now: number): Outcome[]
  /** Carries out commands in the write transaction that this connection is in. */
  applyWithin(commands: readonly Command[], now: number): Outcome[]
  /** @param reader as in the contract of a store: what comes out is shared then */
  read(key: string, reader?: string): LockView | undefined
  list(prefix: string, part: Part): LockView[]
  /** In the order of code points. */
  page(prefix: string, after: string | undefined, limit: number): LockView[]
}

/** How many rows of sessions a beat shows. */
const shown = 16

/** @param own whether nobody else begins transactions on this connection */
export function openTables(db: SqliteDatabase, within: Within, own: boolean): Tables {
  const getFloor = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'floor'`)
  const raiseFloor = db.prepare(`UPDATE storelock_meta SET value = max(value, ?) WHERE name = 'floor'`)
  const getRecord = db.prepare('SELECT record FROM storelock_records WHERE key = ?')
  const listRecords = db.prepare('SELECT key, record FROM storelock_records WHERE key >= ? AND substr(key, 1, length(?)) = ?')
  // An index of the busy ones would make each grant and release slower; without one, what is passed over need at least not be decoded.
  const listBusy = db.prepare(
    `SELECT key, record FROM storelock_records WHERE key >= ? AND substr(key, 1, length(?)) = ? AND substr(record, instr(record, ',['), 9) <> ',[],[],[]'`,
  )
  const pageOfRecords = db.prepare('SELECT key, record FROM storelock_records WHERE key > ? AND key < ? ORDER BY key LIMIT ?')
  const firstOfRecords = db.prepare('SELECT key, record FROM storelock_records WHERE key >= ? AND key < ? ORDER BY key LIMIT ?')
  const putRecord = db.prepare('INSERT INTO storelock_records VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record')
  const dropRecord = db.prepare('DELETE FROM storelock_records WHERE key = ?')
  const getSession = db.prepare('SELECT session FROM storelock_sessions WHERE id = ?')
  const listStale = db.prepare(`SELECT id, session FROM storelock_sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ${shown}`)
  const listAfter = db.prepare('SELECT id, session FROM storelock_sessions WHERE id > ? ORDER BY id LIMIT ?')
  const listUpTo = db.prepare('SELECT id, session FROM storelock_sessions WHERE id <= ? ORDER BY id LIMIT ?')
  const putSession = db.prepare('INSERT OR REPLACE INTO storelock_sessions VALUES (?, ?, ?)')
  const dropSession = db.prepare('DELETE FROM storelock_sessions WHERE id = ?')
  const swap = makeSwap(db)
  // What the user of a shared handle writes moves no counter.
  const glance = own ? makeGlance(db) : undefined

  /** @param decode makes the record out of its text, unless it is the one that was last seen here: nobody may change what comes out */
  const readRecord = (key: string, decode: (key: string, text: string) => LockRecord): LockRecord | undefined => {
    const row = getRecord.get(key) as { record: string } | undefined
    return row && (swap.metRecord(key, row.record) ?? decode(key, row.record))
  }

  const readSession = (id: string): SessionRow | undefined => {
    const row = getSession.get(id) as { session: string } | undefined
    if (!row) return undefined
    const session = decodeSession(id, row.session)
    swap.sawSession(session, row.session)
    return session
  }

  /** Rows that cannot be read are passed over: they must not fail the beats of others. */
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
      record: (key) => readRecord(key, decodeRecord),
      session,
      stale: (after) => readSome(now, after),
    })
    if (changes.floor !== undefined) raiseFloor.run(changes.floor)
    for (const [key, record] of changes.records) {
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

  return {
    apply(commands, now) {
      glance?.forget()
      // A single statement would become part of a transaction that the user of a shared handle has begun.
      return (own && swap.apply(commands, now)) || within('write', () => transact(commands, now))
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
    list: (prefix, { busy }) =>
      within('read', () => {
        const rows = (busy ? listBusy : listRecords).all(prefix, prefix, prefix) as { key: string; record: unknown }[]
        // SQLite orders by code points; JavaScript, and with it every other store, by UTF-16 code units.
        rows.sort((a, b) => (a.key < b.key ? -1 : 1))
        return rows.map(({ key, record }) => viewOf(decodeRecord(key, record), readSession))
      }),
    page: (prefix, after, limit) =>
      within('read', () => {
        const isFirst = after === undefined || Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0
        const rows = (isFirst ? firstOfRecords : pageOfRecords).all(isFirst ? prefix : after, endOf(prefix), limit) as {
          key: string
          record: unknown
        }[]
        return rows.map(({ key, record }) => viewOf(decodeRecord(key, record), readSession))
      }),
  }
}
