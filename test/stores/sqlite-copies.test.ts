import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { errorOf } from '../locks/world.ts'
import { addon, driverPath, openInAnotherCopy } from './another-copy.ts'
import { withFolder } from './sqlite-folder.ts'
import { thrown } from './thrown.ts'
import { whileHeld } from './while-held.ts'

let folder: string
let path: string
withFolder((made) => {
  folder = made
  path = join(made, 'app.db')
})

// Only Linux shows which files a process has open.
describe.runIf(process.platform === 'linux')('two copies of SQLite in one process', () => {
  test('a path that another copy has open is refused with a remedy, and that copy’s writes are kept', async () => {
    const theirs = openInAnotherCopy(path)
    theirs.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)')
    const error = thrown(() => sqliteStore(path))
    expect(error).toMatchObject({ name: 'LockError', code: 'store' })
    expect(error.message).toContain('give sqliteStore the handle that you use')
    theirs.exec('INSERT INTO theirs VALUES (2)')
    const count = execFileSync(process.execPath, [
      '-p',
      `require(${JSON.stringify(driverPath)})(process.argv[1]).prepare('SELECT count(*) FROM theirs').pluck().get()`,
      path,
    ])
    expect(String(count).trim()).toBe('2')
    theirs.close()
  })

  test('a copy that opens the file later ends the sessions, and closing the store does not remove the copy’s log', { timeout: 60_000 }, async () => {
    let theirs: Database.Database | undefined
    const { lost, waited, store } = await whileHeld(path, () => {
      theirs = openInAnotherCopy(path)
      theirs.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)')
    })
    expect(lost).toMatchObject({ code: 'lost', message: expect.stringContaining('two copies of SQLite') })
    expect(waited).toMatchObject({ code: 'store', message: expect.stringContaining('two copies of SQLite') })
    expect(await errorOf(store.read('job'))).toMatchObject({ code: 'store' })
    await store.close()
    expect(existsSync(`${path}-wal`)).toBe(true)
    theirs?.close()
  })
})

test('a driver with its native code elsewhere stays one copy of SQLite if `open` says how to load it', async () => {
  const nativeBinding = join(folder, 'elsewhere.node')
  copyFileSync(addon, nativeBinding)
  const openElsewhere = (file: string) => new Database(file, { nativeBinding })
  const handle = openElsewhere(path)
  handle.pragma('journal_mode = WAL')
  const store = sqliteStore(handle, { open: openElsewhere })
  const locks = createLocks({ store })
  await (await locks.acquire('job')).release()
  await locks.close()
  await store.close()
  handle.close()
})
