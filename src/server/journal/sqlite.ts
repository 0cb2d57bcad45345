import { storeError } from '../../protocol/index.ts'
import { isBusy, type SqliteDatabase } from '../../stores/sqlite/driver.ts'
import { transactions } from '../../stores/sqlite/transaction.ts'
import type { Journal } from '../journal.ts'
import { logTables, openLog } from './sqlite-log.ts'
import { noteVersion } from './version.ts'

const tables = `
  CREATE TABLE IF NOT EXISTS storelock_owners (session TEXT PRIMARY KEY, owner TEXT NOT NULL, at INTEGER NOT NULL);
`

/**
 * A journal in tables beside the store's.
 * @param db a connection of its own, so that the journal never blocks a lock's transaction; `close` closes it
 */
export async function sqliteJournal(db: SqliteDatabase): Promise<Journal> {
  db.exec('PRAGMA synchronous = NORMAL')

  /** Runs a step as soon as no other process keeps the database busy. */
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

  const within = transactions(db)
  const write = <T>(body: () => T): Promise<T> => whenIdle(() => within('write', body))

  await write(() => {
    noteVersion(db)
    db.exec(tables + logTables)
  })
  const bind = db.prepare('INSERT OR IGNORE INTO storelock_owners VALUES (?, ?, ?)')
  const owner = db.prepare('SELECT owner FROM storelock_owners WHERE session = ?')
  const old = db.prepare('SELECT session FROM storelock_owners WHERE session > ? AND at < ? ORDER BY session LIMIT ?')
  const unbind = db.prepare('DELETE FROM storelock_owners WHERE session = ?')
  const touch = db.prepare(`INSERT OR REPLACE INTO storelock_journal VALUES ('touched', ?)`)
  const log = openLog(db, whenIdle, write)
  const ownerOf = (session: string): string | undefined => (owner.get(session) as { owner: string } | undefined)?.owner

  return {
    bind: (sessions, whose, at) =>
      write(() => {
        for (const session of sessions) bind.run(session, whose, at)
        return sessions.map((session) => ownerOf(session) as string)
      }),
    ownerOf: (session) => whenIdle(() => ownerOf(session)),
    boundBefore: (at, after, limit) => whenIdle(() => (old.all(after, at, limit) as { session: string }[]).map(({ session }) => session)),
    unbind: (sessions) =>
      write(() => {
        for (const session of sessions) unbind.run(session)
      }),
    ...log,
    touch: () => write(() => void touch.run(Date.now())),
    async close() {
      db.close()
    },
  }
}
