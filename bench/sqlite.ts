import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import lockfile from 'proper-lockfile'
import { type Clock, createLocks, type Store } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { encodeRecord } from '../src/protocol/index.ts'
import { openBare } from './bare.ts'
import { compared, type Measure } from './figure.ts'
import { inFolder } from './folder.ts'
import { alternate } from './rounds.ts'

export const measures: Record<string, Measure> = {
  'sqlite.acquireRelease': (progress) =>
    inFolder(async (folder) => {
      const store = sqliteStore(join(folder, 'ours.db'))
      const locks = createLocks({ store })
      const held = await locks.acquire('job')
      const texts = [await stored(store), await held.release().then(() => stored(store))]
      const bare = openBare(join(folder, 'bare.db'), 1, texts[0] ?? '')
      const file = join(folder, 'file')
      writeFileSync(file, '')

      const measured = await alternate(
        {
          ours: {
            iterations: 200,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) {
                const lock = await locks.acquire('job')
                await lock.release()
              }
            },
          },
          bare: {
            iterations: 200,
            run(iterations) {
              for (let i = 0; i < iterations; i++) for (const text of texts) bare.readModifyWrite(text)
            },
          },
          properLockfile: {
            iterations: 20,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) {
                const unlock = await lockfile.lock(file)
                await unlock()
              }
            },
          },
        },
        150,
        progress,
      )
      bare.close()
      await locks.close()
      await store.close()
      return [
        compared('sqlite.acquireRelease', measured, 'ours', 'bare', 'two bare BEGIN IMMEDIATE read-modify-write transactions', 1.5),
        compared('sqlite.acquireRelease', measured, 'ours', 'properLockfile', 'proper-lockfile lock + unlock', 1 / 10),
      ]
    }),

  'sqlite.heartbeat1000': (progress) =>
    inFolder(async (folder) => {
      const holds = 1_000
      const duration = 10_000
      const path = join(folder, 'ours.db')
      const { store, beaten } = watched(sqliteStore(path))
      const clock = new SkippingClock()
      const locks = createLocks({ store, duration, clock })
      const held = await Promise.all(Array.from({ length: holds }, (_, i) => locks.acquire(`job ${i}`)))
      const bare = openBare(join(folder, 'bare.db'), holds, await stored(store, 'job 0'))

      const measured = await alternate(
        {
          ours: {
            iterations: 50,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) {
                const beat = beaten()
                clock.skip(duration / 10)
                await beat
                // The session goes on after its beat before the next one is due, as it would between two timers.
                await new Promise(setImmediate)
              }
            },
          },
          bare: {
            iterations: 5,
            run(iterations) {
              for (let i = 0; i < iterations; i++) bare.updateAll()
            },
          },
        },
        60,
        progress,
      )
      if (!held.every((lock) => lock.isHeld())) throw new Error('the beats that were measured did not keep the locks')
      bare.close()
      await locks.close()
      await store.close()
      return [compared('sqlite.heartbeat1000', measured, 'ours', 'bare', 'one bare transaction that updates 1,000 rows', 0.2)]
    }),

  'sqlite.fencedWrite': (progress) =>
    inFolder(async (folder) => {
      const db = new Database(join(folder, 'app.db'))
      db.pragma('journal_mode = WAL')
      db.pragma('synchronous = NORMAL')
      db.exec('CREATE TABLE rows (key TEXT PRIMARY KEY, value INTEGER NOT NULL)')
      const store = sqliteStore(db)
      const locks = createLocks({ store })
      const lock = await locks.acquire('job')
      const put = db.prepare('INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
      let value = 0
      const write = (): void => {
        put.run('row', ++value)
      }
      const bare = db.transaction(write)
      const measured = await alternate(
        {
          ours: {
            iterations: 300,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) await store.transaction(lock, write)
            },
          },
          bare: {
            iterations: 300,
            run(iterations) {
              for (let i = 0; i < iterations; i++) bare.immediate()
            },
          },
        },
        150,
        progress,
      )
      await locks.close()
      await store.close()
      db.close()
      return [compared('sqlite.fencedWrite', measured, 'ours', 'bare', 'the same write in a bare BEGIN IMMEDIATE transaction', 1.3)]
    }),
}

/** The text that a store keeps of a lock: what is bare has as much to read and write. */
async function stored(store: Store, key = 'job'): Promise<string> {
  const record = await store.read(key)
  if (!record) throw new Error(`no record of ${key}`)
  return encodeRecord(record)
}

/** A store whose beats can be waited for. */
function watched(inner: Store): { store: Store; beaten(): Promise<void> } {
  let tell = (): void => {}
  const apply: Store['apply'] = async (commands) => {
    const outcomes = await inner.apply(commands)
    if (outcomes.some(({ type }) => type === 'beaten')) tell()
    return outcomes
  }
  const beaten = (): Promise<void> => new Promise((resolve) => (tell = resolve))
  return { store: { ...inner, apply }, beaten }
}

/** The true time, save that it can be moved on: a beat is due every second, and the bench has no second to wait. */
class SkippingClock implements Clock {
  #skipped = 0
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  now = (): number => Date.now() + this.#skipped
  monotonic = (): number => performance.now() + this.#skipped
  random = (): number => Math.random()

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.monotonic() + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  skip(ms: number): void {
    this.#skipped += ms
    const now = this.monotonic()
    for (const timer of [...this.#timers]) if (timer.at <= now && this.#timers.delete(timer)) timer.run()
  }
}
