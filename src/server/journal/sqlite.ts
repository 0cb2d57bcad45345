import { storeError } from '../../protocol/index.ts'
import { isBusy, type SqliteDatabase } from '../../stores/sqlite/driver.ts'
import type { Journal } from '../journal.ts'
import type { LogEntry } from '../wire.ts'

const tables = `
  CREATE TABLE IF NOT EXISTS storelock_owners (session TEXT PRIMARY KEY, owner TEXT NOT NULL, at INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS storelock_owners_at ON storelock_owners (at);
  CREATE TABLE IF NOT EXISTS storelock_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, session TEXT, token INTEGER, who TEXT, address TEXT, why TEXT
  );
  CREATE INDEX IF NOT EXISTS storelock_log_key ON storelock_log (key);
`

const startsWith = 'substr(key, 1, length(?)) = ?'

const columns = ['at', 'kind', 'key', 'session', 'token', 'who', 'address', 'why'] as const

/**
 * In tables beside the store's.
 * @param db a connection of its own, closed with it, so that it is never in the way of a lock's transaction
 */
export async function sqliteJournal(db: SqliteDatabase): Promise<Journal> {
  db.exec('PRAGMA synchronous = NORMAL')

  /** Takes a step as soon as the database is not busy with another process. */
  const whenIdle = async <T>(step: () => T): Promise<T> => {
    for (;;) {
      try {
        return step()
      } catch (error) {
        if (!isBusy(error)) throw storeError(error, 'the journal of the lock server')
        await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2))
      }
    }
  }

  const rollback = (): void => {
    try {
      db.exec('ROLLBACK')
    } catch {
      // Some errors, such as a full disk, have rolled back already.
    }
  }

  const write = <T>(body: () => T): Promise<T> =>
    whenIdle(() => {
      db.exec('BEGIN IMMEDIATE')
      try {
        const result = body()
        db.exec('COMMIT')
        return result
      } catch (error) {
        rollback()
        throw error
      }
    })

  await write(() => db.exec(tables))
  const bind = db.prepare('INSERT OR IGNORE INTO storelock_owners VALUES (?, ?, ?)')
  const owner = db.prepare('SELECT owner FROM storelock_owners WHERE session = ?')
  const old = db.prepare('SELECT session FROM storelock_owners WHERE at < ? ORDER BY at LIMIT ?')
  const unbind = db.prepare('DELETE FROM storelock_owners WHERE session = ?')
  const append = db.prepare(`INSERT INTO storelock_log (${columns}) VALUES (${columns.map(() => '?')})`)
  const grant = db.prepare(`SELECT 1 FROM storelock_log WHERE key = ? AND token = ? AND kind = 'grant'`)
  const trimAge = db.prepare('DELETE FROM storelock_log WHERE at < ?')
  const trimCount = db.prepare('DELETE FROM storelock_log WHERE id <= (SELECT max(id) FROM storelock_log) - ?')
  const ownerOf = (session: string): string | undefined => (owner.get(session) as { owner: string } | undefined)?.owner

  return {
    bind: (sessions, whose, at) =>
      write(() => {
        for (const session of sessions) bind.run(session, whose, at)
        return sessions.map((session) => ownerOf(session) as string)
      }),
    ownerOf: (session) => whenIdle(() => ownerOf(session)),
    boundBefore: (at, limit) => whenIdle(() => (old.all(at, limit) as { session: string }[]).map(({ session }) => session)),
    unbind: (sessions) =>
      write(() => {
        for (const session of sessions) unbind.run(session)
      }),
    append: (entries) =>
      write(() => {
        for (const entry of entries) append.run(...columns.map((column) => entry[column] ?? null))
      }),
    query: ({ key, prefix, kind, since, until, before, limit }, prefixes) => {
      const tests = [
        ['key = ?', key],
        [startsWith, prefix, prefix],
        ['kind = ?', kind],
        ['at >= ?', since],
        ['at <= ?', until],
        ['id < ?', before],
      ].filter(([, value]) => value !== undefined)
      if (prefixes) {
        const within = prefixes.map(() => startsWith).join(' OR ') || 'FALSE'
        tests.push([`key <> '' AND (${within})`, ...prefixes.flatMap((each) => [each, each])])
      }
      const where = tests.length ? `WHERE ${tests.map(([test]) => test).join(' AND ')}` : ''
      const values = tests.flatMap(([, ...bound]) => bound)
      return whenIdle(() =>
        (db.prepare(`SELECT * FROM storelock_log ${where} ORDER BY id DESC LIMIT ?`).all(...values, limit) as object[]).map(withoutNulls),
      )
    },
    hasGrant: (key, token) => whenIdle(() => grant.get(key, token) !== undefined),
    trim: (now, { age, entries }) =>
      write(() => {
        trimAge.run(now - age)
        trimCount.run(entries)
      }),
    async close() {
      db.close()
    },
  }
}

const withoutNulls = (row: object): LogEntry => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown as LogEntry
