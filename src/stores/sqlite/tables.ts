import {
  type Command,
  decodeRecord,
  decodeSession,
  encodeRecord,
  encodeSession,
  LockError,
  type LockRecord,
  type LockView,
  type Outcome,
  runBatch,
  type SessionRow,
  schemaVersion,
} from '../../protocol/index.ts'
import type { SqliteDatabase, SqliteStatement } from './driver.ts'

/** Our tables in one database. If that is busy, its methods throw the engine's error and have done nothing. */
export interface Tables {
  /** Carries out commands, in one transaction. */
  apply(commands: readonly Command[], now: number): Outcome[]
  read(key: string): LockView | undefined
  list(prefix: string): LockView[]
}

const schema = `
  CREATE TABLE IF NOT EXISTS storelock_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_records (key TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS storelock_sessions (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, session TEXT NOT NULL);
  INSERT OR IGNORE INTO storelock_meta (name, value) VALUES ('version', ${schemaVersion}), ('floor', 0);
`

/**
 * Our tables, made where there are none.
 * @param ours whether how the database is kept is ours to say
 * @throws LockError `store` if a newer version made them, which leaves them as they are
 */
export function openTables(db: SqliteDatabase, ours: boolean): Tables {
  if (ours) db.exec('PRAGMA journal_mode = WAL')
  const { journal_mode: journal } = db.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
  // As durable as a lock needs to be. Only a connection of our own can be in this mode: a handle that we share has no file.
  if (journal === 'wal') db.exec('PRAGMA synchronous = NORMAL')

  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const within = <T>(begin: SqliteStatement, body: () => T): T => {
    begin.run()
    try {
      const result = body()
      commit.run()
      return result
    } catch (error) {
      try {
        rollback.run()
      } catch {
        // Some errors, such as a full disk, have rolled back already.
      }
      throw error
    }
  }

  const write = db.prepare('BEGIN IMMEDIATE')
  within(write, () => {
    db.exec(schema)
    const { value } = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'version'`).get() as { value: number }
    if (value > schemaVersion) {
      throw new LockError('store', `its tables are of a newer storelock (schema ${value}, this one knows ${schemaVersion}): update storelock`)
    }
  })

  const snapshot = db.prepare('BEGIN')
  const getFloor = db.prepare(`SELECT value FROM storelock_meta WHERE name = 'floor'`)
  const raiseFloor = db.prepare(`UPDATE storelock_meta SET value = max(value, ?) WHERE name = 'floor'`)
  const getRecord = db.prepare('SELECT record FROM storelock_records WHERE key = ?')
  const listRecords = db.prepare('SELECT key, record FROM storelock_records WHERE key >= ? AND substr(key, 1, length(?)) = ?')
  const putRecord = db.prepare('INSERT INTO storelock_records VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record')
  const dropRecord = db.prepare('DELETE FROM storelock_records WHERE key = ?')
  const getSession = db.prepare('SELECT session FROM storelock_sessions WHERE id = ?')
  const listStale = db.prepare('SELECT id, session FROM storelock_sessions WHERE expires_at < ? ORDER BY expires_at LIMIT 8')
  const putSession = db.prepare('INSERT OR REPLACE INTO storelock_sessions VALUES (?, ?, ?)')
  const dropSession = db.prepare('DELETE FROM storelock_sessions WHERE id = ?')

  const readRecord = (key: string): LockRecord | undefined => {
    const row = getRecord.get(key) as { record: unknown } | undefined
    return row && decodeRecord(key, row.record)
  }

  const readSession = (id: string): SessionRow | undefined => {
    const row = getSession.get(id) as { session: unknown } | undefined
    return row && decodeSession(id, row.session)
  }

  /** Rows that cannot be read are passed over: they must not fail the beats of others. */
  const readStale = (now: number): SessionRow[] =>
    (listStale.all(now) as { id: string; session: unknown }[]).flatMap(({ id, session }) => {
      try {
        return [decodeSession(id, session)]
      } catch {
        return []
      }
    })

  const withSessions = (record: LockRecord): LockView => {
    const sessions: Record<string, SessionRow> = {}
    for (const { session } of [...record.holders, ...record.queue]) {
      const row = sessions[session] ?? readSession(session)
      if (row) sessions[session] = row
    }
    return { ...record, sessions }
  }

  return {
    apply: (commands, now) =>
      within(write, () => {
        const rows = new Map<string, SessionRow | undefined>()
        const session = (id: string): SessionRow | undefined => {
          if (!rows.has(id)) rows.set(id, readSession(id))
          return rows.get(id)
        }
        const changes = runBatch(commands, {
          now,
          get floor() {
            return (getFloor.get() as { value: number }).value
          },
          record: readRecord,
          session,
          stale: () => readStale(now),
        })
        for (const [key, record] of changes.records) {
          if (record) putRecord.run(key, encodeRecord(record))
          else {
            raiseFloor.run(changes.floor)
            dropRecord.run(key)
          }
        }
        for (const [id, row] of changes.sessions) {
          if (row === rows.get(id)) continue
          if (row) putSession.run(id, row.expiresAt, encodeSession(row))
          else dropSession.run(id)
        }
        return changes.outcomes
      }),
    read: (key) =>
      within(snapshot, () => {
        const record = readRecord(key)
        return record && withSessions(record)
      }),
    list: (prefix) =>
      within(snapshot, () => {
        const rows = listRecords.all(prefix, prefix, prefix) as { key: string; record: unknown }[]
        // SQLite orders by code points; JavaScript, and every other store, by UTF-16 code units.
        rows.sort((a, b) => (a.key < b.key ? -1 : 1))
        return rows.map(({ key, record }) => withSessions(decodeRecord(key, record)))
      }),
  }
}
