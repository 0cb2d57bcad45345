import Database from 'better-sqlite3'
import type { Store } from 'storelock'
import { encodeRecord } from '../../src/protocol/index.ts'

/** The minimal code to keep a text per key, with the driver, pragmas and statements of our own store. */
export function openBare(path: string, rows: number, text: string) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.exec('CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value TEXT NOT NULL)')
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const read = db.prepare<[string], { value: string }>('SELECT value FROM rows WHERE key = ?')
  const write = db.prepare('INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
  const keys = Array.from({ length: rows }, (_, i) => (rows === 1 ? 'job' : `job ${i}`))
  for (const key of keys) write.run(key, text)
  let token = Date.now()
  return {
    readModifyWrite(text: string): void {
      begin.run()
      if (!read.get('job')) throw new Error('the bare row is gone')
      write.run('job', `${++token}${text.slice(13)}`)
      commit.run()
    },
    updateAll(): void {
      const value = `${++token}${text.slice(13)}`
      begin.run()
      for (const key of keys) write.run(key, value)
      commit.run()
    },
    close: () => db.close(),
  }
}

/** The text that a store keeps for a lock, so that the bare code has as much to read and write. */
export async function stored(store: Store, key = 'job'): Promise<string> {
  const record = await store.read(key)
  if (!record) throw new Error(`no record of ${key}`)
  return encodeRecord(record)
}
