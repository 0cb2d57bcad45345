import { accessSync, constants } from 'node:fs'
import { dirname } from 'node:path'
import { decodeRecord, decodeSession, type LockRecord, type SessionRow, schemaVersion } from '../../protocol/index.ts'
import type { SqliteDatabase } from '../../stores/sqlite/driver.ts'
import { inWords } from '../output.ts'
import { writerOf } from '../writer.ts'
import { type Finding, fault, note, ok } from './finding.ts'

const one = <T>(db: SqliteDatabase, sql: string): T => Object.values(db.prepare(sql).get() as object)[0] as T

export function checkEngine(db: SqliteDatabase): Finding {
  const version = one<string>(db, 'SELECT sqlite_version()')
  const driver = 'pragma' in db ? 'better-sqlite3' : 'node:sqlite'
  return ok('engine', `SQLite ${version} by ${driver}`)
}

export function checkJournal(db: SqliteDatabase): Finding {
  const mode = one<string>(db, 'PRAGMA journal_mode')
  if (mode === 'wal') return ok('journal', mode)
  return note(
    'journal',
    `${mode}: readers and writers wait for each other`,
    'PRAGMA journal_mode = WAL, if all processes that use the file run on this machine',
  )
}

export function checkIntegrity(db: SqliteDatabase): Finding {
  const found = one<string>(db, 'PRAGMA quick_check(1)')
  return found === 'ok'
    ? ok('integrity', found)
    : fault('integrity', found, 'stop all processes that use the file, and restore a backup or `.recover` it with the sqlite3 shell')
}

/** Checks that the file can be written, without writing to it or locking it. */
export function checkWritable(file: string): Finding {
  const writer = writerOf(file)
  if (writer) return note('writing', `${writer} writes at the moment`, 'look again; a transaction that stays open blocks all locks')
  try {
    for (const path of [file, dirname(file)]) accessSync(path, constants.W_OK)
    return ok('writing', 'allowed')
  } catch {
    return note('writing', 'this user can only look', 'to take locks, make the file and its folder writable for this user')
  }
}

export function checkSchema(db: SqliteDatabase): Finding {
  const version = Number(one<number | bigint>(db, `SELECT value FROM storelock_meta WHERE name = 'version'`))
  if (version <= schemaVersion) return ok('tables', `version ${version}`)
  return fault('tables', `made by a newer storelock (version ${version}, this one knows ${schemaVersion})`, 'update storelock')
}

/** The rows that can be read, by key or id; and the errors of the others. */
export interface Rows {
  readonly records: ReadonlyMap<string, LockRecord>
  readonly sessions: ReadonlyMap<string, SessionRow>
  readonly corrupt: readonly string[]
}

export function readRows(db: SqliteDatabase): Rows {
  const records = new Map<string, LockRecord>()
  const sessions = new Map<string, SessionRow>()
  const corrupt: string[] = []
  const read = (what: string, decode: () => unknown): void => {
    try {
      decode()
    } catch {
      corrupt.push(what)
    }
  }
  const apart = db.prepare(`SELECT name FROM sqlite_master WHERE name = 'storelock_idle'`).all()
  const all = apart.length ? 'SELECT * FROM storelock_idle UNION ALL SELECT * FROM storelock_records' : 'SELECT * FROM storelock_records'
  for (const { key, record } of db.prepare(all).all() as { key: string; record: string }[]) {
    read(`the record of ${key}`, () => records.set(key, decodeRecord(key, record)))
  }
  for (const { id, session } of db.prepare('SELECT id, session FROM storelock_sessions').all() as { id: string; session: string }[]) {
    read(`the row of session ${id}`, () => sessions.set(id, decodeSession(id, session)))
  }
  return { records, sessions, corrupt }
}

export function checkRows({ corrupt, records, sessions }: Rows): Finding {
  if (!corrupt.length) return ok('rows', `records: ${records.size}, sessions: ${sessions.size}`)
  return fault('rows', `cannot be read: ${corrupt.join(', ')}`, 'restore a backup, or delete the row when nobody uses that lock')
}

/** Rows of sessions that ended this long ago, in ms, are removed by the next beats. */
const abandoned = 600_000
/** A record that has not been used for this long, in ms, is worth a sweep. */
const old = 30 * 86_400_000

export function checkStale({ records, sessions }: Rows, now = Date.now()): Finding {
  const over = [...sessions.values()].filter(({ expiresAt }) => expiresAt < now - abandoned)
  const overIds = new Set(over.map(({ id }) => id))
  const silent = [...records.values()].filter(({ holders }) => holders.some(({ session }) => overIds.has(session))).map(({ key }) => key)
  const idle = [...records.values()].filter(
    ({ holders, queue, pins, changedAt = now }) => !holders.length && !queue.length && !pins.length && changedAt < now - old,
  )
  if (silent.length)
    return note('stale', `held by sessions that have been silent for ten minutes or more: ${silent.join(', ')}`, `storelock expire ${silent[0]}`)
  if (idle.length) return note('stale', `${idle.length} records that nobody has used for a month`, 'storelock sweep --older-than 30d')
  if (over.length)
    return note('stale', `${over.length} sessions that are gone`, 'nothing: the next session that opens the store or holds a lock removes them')
  return ok('stale', 'none')
}

/** How far two readings of a clock that is being adjusted may differ, in ms. */
const slack = 2_000

/** Records and leases contain wall times: if one is in the future, the clock was set back. */
export function checkClock({ records, sessions }: Rows, now = Date.now()): Finding {
  const ahead = Math.max(
    0,
    ...[...records.values()].filter(({ holders, queue }) => holders.length || queue.length).map(({ changedAt = 0 }) => changedAt - now),
    ...[...sessions.values()].map(({ expiresAt, lease }) => expiresAt - lease - now),
  )
  if (ahead <= slack) return ok('clock', 'not set back under a lock')
  return note(
    'clock',
    `was set back by ${inWords(ahead)} or more under a lock`,
    'nothing: locks use another clock; only the times shown are wrong for a while',
  )
}
