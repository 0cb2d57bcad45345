// A process that works on a SQLite file under locks of that file or of lock servers: `worker.js <start, as JSON>`.
import Database from 'better-sqlite3'
import { createLocks, type Store } from 'storelock'
import { httpStore } from 'storelock/stores/http'
import { sqliteStore } from 'storelock/stores/sqlite'
import { now } from '../../e2e/processes/orders.ts'
import { beChild, stand } from '../child.ts'
import { tokensIn } from '../http/fence.ts'
import type { Start } from '../processes.ts'
import { seeded } from '../random.ts'
import { type Ground, work } from '../worker.ts'
import { rowsIn } from './rows.ts'

export interface FileStart extends Start {
  readonly file: string
  /** The URLs of the lock servers. Without them the locks are in the file. */
  readonly urls?: readonly string[] | undefined
}

const { start, signal, note, strike } = beChild<FileStart>((order) => order.type === 'occupy' && occupy(order.ms))
const { name, file, urls, fenced, duration, maxBackoff, seed } = start

// SQLite's own wait blocks the whole process, heartbeats too. So its timeout is short, and the store waits instead.
const db = new Database(file, { timeout: 100 })
const own = urls === undefined ? sqliteStore(db) : undefined

/** A store that starts with one of the servers, and soon goes on to the next if it gets no answer. */
function served(all: readonly string[]): Store {
  const first = seed % all.length
  return httpStore([...all.slice(first), ...all.slice(0, first)], all.length > 1 ? { timeout: 1_000 } : {})
}
const store = own ?? served(urls ?? [])
const tokens = tokensIn(db)
const locks = createLocks({ store, label: name, duration, maxBackoff })
const rows = rowsIn(db)

/** Holds SQLite's write lock as on a slow disk, with more data than the log holds. @returns whether it got the lock */
function occupy(ms: number): boolean {
  const disk = new Database(file)
  try {
    disk.exec('BEGIN IMMEDIATE')
    disk.prepare('INSERT INTO ballast VALUES (zeroblob(?))').run(4_000_000)
    stand(ms)
    disk.exec('DELETE FROM ballast; COMMIT')
    disk.pragma('wal_checkpoint(PASSIVE)')
    return true
  } catch (error) {
    // Other workers kept the file busy for longer than SQLite waits, so no fault happened.
    if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return false
    throw error
  } finally {
    disk.close()
  }
}

const unfenced = db.transaction((step: () => void) => step())
const ground: Ground = {
  locks,
  now,
  place: (key) => key,
  note,
  async read(lock) {
    if (fenced && !own) tokens.leave(lock)
    return rows.read(lock.key)
  },
  async write(write, lock) {
    const step = () => {
      rows.write(write)
      strike('before the commit')
    }
    if (lock) await (own ?? tokens).transaction(lock, step)
    else unfenced.immediate(step)
  },
  strike,
}
await work({ name, fenced, random: seeded(seed) }, ground, signal)
await locks.close()
await store.close()
db.close()
process.exit()
