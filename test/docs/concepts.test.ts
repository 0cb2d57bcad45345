import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks, type Locks } from 'storelock'
import { type SqliteStore, sqliteStore } from 'storelock/stores/sqlite'
import { type ManualClock, manualClock } from 'storelock/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addOne as addFenced } from './concepts/fenced.ts'
import { addOne as addUnfenced } from './concepts/unfenced.ts'

/** One process, as far as the database can tell. */
interface Side {
  readonly db: Database.Database
  readonly store: SqliteStore<Database.Database>
  readonly clock: ManualClock
  readonly locks: Locks
}

const atOnce = async (): Promise<void> => {}

describe('a holder that is stopped after its check', () => {
  let folder: string
  let a: Side
  let b: Side
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'storelock-concepts-'))
    const db = new Database(join(folder, 'app.db'), { timeout: 0 })
    db.exec('CREATE TABLE numbers (value INTEGER); INSERT INTO numbers VALUES (5)')
    // While `a` is stopped, no message reaches it, and its clock stands still.
    ;[a, b] = [side(db, false), side(new Database(join(folder, 'app.db'), { timeout: 0 }), true)]
  })
  afterEach(async () => {
    for (const { locks, store, db } of [b, a]) {
      await locks.close()
      await store.close()
      db.close()
    }
    rmSync(folder, { recursive: true, force: true })
  })

  function side(db: Database.Database, hears: boolean): Side {
    const [store, clock] = [sqliteStore(db), manualClock()]
    return { db, store, clock, locks: createLocks({ store: hears ? store : { ...store, channel: undefined }, clock }) }
  }

  /** Lets `a` count until it has read the number, stops it there, lets `b` count, then lets `a` go on. */
  async function late(count: (work: () => Promise<void>) => Promise<void>, next: () => Promise<void>): Promise<void> {
    let reach = (): void => {}
    let goOn = (): void => {}
    const reached = new Promise<void>((resolve) => {
      reach = resolve
    })
    const goesOn = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const counting = count(() => {
      reach()
      return goesOn
    })
    await reached
    const counted = next()
    while (!(await done(counted))) await b.clock.advance(500)
    goOn()
    await counting
  }

  const done = (promise: Promise<unknown>): Promise<boolean> =>
    Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])

  const value = (): unknown => b.db.prepare('SELECT value FROM numbers').pluck().get()

  test('loses an update without a fence', async () => {
    await late(
      (work) => addUnfenced(a.locks, a.db, work),
      () => addUnfenced(b.locks, b.db, atOnce),
    )
    expect(value()).toBe(6)
  })

  test('is refused with a fence, and succeeds when it asks for the lock again', async () => {
    await expect(
      late(
        (work) => addFenced(a.locks, a.store, a.db, work),
        () => addFenced(b.locks, b.store, b.db, atOnce),
      ),
    ).rejects.toMatchObject({ code: 'lost' })
    expect(value()).toBe(6)
    await addFenced(a.locks, a.store, a.db, atOnce)
    expect(value()).toBe(7)
  })
})
