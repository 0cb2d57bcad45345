// A process that works on a SQLite file, under locks of that file or of a lock server: `worker.js <start, as JSON>`. Its runner orders it over Node's IPC.
import { openSync, writeFileSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { httpStore } from 'storelock/stores/http'
import { sqliteStore } from 'storelock/stores/sqlite'
import { now } from '../../e2e/processes/orders.ts'
import type { Line } from '../history.ts'
import { tokensIn } from '../http/fence.ts'
import { seeded } from '../random.ts'
import { type Ground, type Order, Orders, type Point, work } from '../worker.ts'
import { rowsIn } from './rows.ts'

/** The settings of a process. Times in ms. */
export interface Start {
  readonly name: string
  readonly file: string
  /** The lock server's; without it the locks are in the file. */
  readonly url?: string | undefined
  /** The file of its notes. */
  readonly notes: string
  /** The file that sets its wall clock. */
  readonly clock: string
  readonly fenced: boolean
  readonly duration: number
  readonly maxBackoff: number
  readonly seed: number
}

/** Reports that it met an order. */
export type News = { readonly met: Order['type'] }

const { name, file, url, notes, clock, fenced, duration, maxBackoff, seed } = JSON.parse(process.argv[2] ?? '') as Start

// SQLite's own waiting blocks the whole process, heartbeats too: it is kept short, and the store waits instead.
const db = new Database(file, { timeout: 100 })
const own = url === undefined ? sqliteStore(db) : undefined
const store = own ?? httpStore(url as string)
const tokens = tokensIn(db)
const locks = createLocks({ store, label: name, duration, maxBackoff })
const rows = rowsIn(db)
const paper = openSync(notes, 'a')
const orders = new Orders()
const end = new AbortController()
const tell = (met: Order['type']) => void process.send?.({ met } satisfies News)

/** Blocks this thread, and with it everything that the process does by itself. */
const stand = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

function strike(point: Point): void {
  const order = orders.take(point)
  if (order?.type === 'die') {
    process.kill(process.pid, 'SIGKILL')
    // The signal may take a moment, in which nothing more may happen.
    for (;;) stand(1_000)
  }
  if (order?.type === 'hang') {
    stand(order.ms)
    tell('hang')
  }
}

/** Holds SQLite's write lock as on a slow disk, with more to write than the log holds. */
function occupy(ms: number): void {
  const disk = new Database(file)
  disk.exec('BEGIN IMMEDIATE')
  disk.prepare('INSERT INTO ballast VALUES (zeroblob(?))').run(4_000_000)
  stand(ms)
  disk.exec('DELETE FROM ballast; COMMIT')
  disk.pragma('wal_checkpoint(PASSIVE)')
  disk.close()
}

process.on('message', (order: Order) => {
  if (order.type === 'finish') return end.abort()
  if (order.type === 'hang' || order.type === 'die') return orders.give(order)
  if (order.type === 'occupy') {
    try {
      occupy(order.ms)
    } catch (error) {
      // Others kept it busy for longer than SQLite waits: no fault happened.
      if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return
      throw error
    }
  }
  if (order.type === 'shift') writeFileSync(clock, `${order.ms < 0 ? '' : '+'}${order.ms / 1_000}`)
  tell(order.type)
})
// Without the runner nobody would ever end it.
process.on('disconnect', () => process.exit())

const unfenced = db.transaction((step: () => void) => step())
const ground: Ground = {
  locks,
  now,
  place: (key) => key,
  note: (note) => void writeSync(paper, `${JSON.stringify({ ...note, at: now() } satisfies Line)}\n`),
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
await work({ name, fenced, random: seeded(seed) }, ground, end.signal)
await locks.close()
await store.close()
db.close()
process.exit()
