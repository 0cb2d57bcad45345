import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLocks, type HeldLock, type LockError } from '../../src/index.ts'
import { type SqliteStore, sqliteStore } from '../../src/stores/sqlite.ts'

const tables = ['storelock_meta', 'storelock_records', 'storelock_sessions']

let folder: string
let path: string
let handle: Database.Database
let store: SqliteStore<Database.Database>
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  path = join(folder, 'app.db')
  handle = new Database(path, { timeout: 0 })
  handle.exec('CREATE TABLE notes (text)')
  store = sqliteStore(handle)
})
afterEach(async () => {
  await store.close()
  handle.close()
  rmSync(folder, { recursive: true })
})

/** Drops tables, as a migration tool in another process may do with unknown ones. */
function drop(...names: string[]): void {
  const other = new Database(path)
  for (const name of names) other.exec(`DROP TABLE ${name}`)
  other.close()
}

const lossOf = (lock: HeldLock): Promise<LockError> =>
  new Promise((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason as LockError)))

describe.each([['all tables', tables], ...tables.map((name) => [name, [name]] as const)] as const)('when another program drops %s', (_, dropped) => {
  test('holders are notified of the loss, the tables are made again, and new locks work', async () => {
    const locks = createLocks({ store, duration: 1_000 })
    const lock = await locks.acquire('k')
    const lost = lossOf(lock)
    drop(...dropped)
    expect(await lost).toMatchObject({ code: 'lost', message: expect.stringMatching(/dropped|given up as dead/) })
    const again = await locks.acquire('k')
    expect([again.isHeld(), again.token > lock.token]).toEqual([true, true])
    await locks.close()
  })

  test('a holder notices within its duration that another session has the lock', async () => {
    const other = sqliteStore(path)
    const [a, b] = [createLocks({ store, duration: 1_000 }), createLocks({ store: other, duration: 1_000 })]
    const lock = await a.acquire('k')
    const lost = lossOf(lock)
    const wait = b.acquire('k')
    drop(...dropped)
    await wait
    const granted = performance.now()
    await lost
    expect(performance.now() - granted).toBeLessThan(1_000)
    await Promise.all([a.close(), b.close()])
    await other.close()
  })
})

test.each(['storelock_records', 'storelock_sessions'])('a fenced write is refused once %s was dropped', async (name) => {
  const locks = createLocks({ store })
  const lock = await locks.acquire('k')
  drop(name)
  await expect(store.transaction(lock, (tx) => tx.exec("INSERT INTO notes VALUES ('not this')"))).rejects.toMatchObject({ code: 'lost' })
  handle.exec('BEGIN')
  expect(() => store.check(handle, lock)).toThrow(expect.objectContaining({ code: 'lost' }))
  handle.exec('ROLLBACK')
  expect(handle.prepare('SELECT * FROM notes').all()).toEqual([])
  await locks.close()
})
