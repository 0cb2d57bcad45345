import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { errorOf } from '../locks/world.ts'
import { failure, isBuiltIn } from './driver.ts'
import { withFolder } from './sqlite-folder.ts'
import { thrown } from './thrown.ts'

let folder: string
let path: string
withFolder((made) => {
  folder = made
  path = join(made, 'test.db')
})

const beat: Command = { type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true }
const request: Command = { type: 'request', key: 'k', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm: 500 }

/** Runs a function without root's right to write anywhere. */
function asNobody<T>(run: () => T): T {
  const root = process.getuid?.() === 0
  if (root) process.seteuid?.(65_534)
  try {
    return run()
  } finally {
    if (root) process.seteuid?.(0)
  }
}

describe('opening', () => {
  test('a missing directory is named, with a remedy', () => {
    const error = thrown(() => sqliteStore(join(folder, 'no', 'test.db')))
    expect(error).toMatchObject({ name: 'LockError', code: 'store' })
    expect(error.message).toContain(`create the directory ${join(folder, 'no')} first`)
  })

  test.runIf(process.platform === 'linux')('a directory in which no files can be made is named', () => {
    const error = thrown(() => sqliteStore('/proc/storelock.db'))
    expect(error).toMatchObject({ name: 'LockError', code: 'store', cause: failure('CANTOPEN') })
    expect(error.message).toContain('/proc/storelock.db')
  })

  test('a file that is not a database is refused', () => {
    writeFileSync(path, 'this is not a database, but it is quite long all the same'.repeat(20))
    const error = thrown(() => sqliteStore(path))
    expect(error).toMatchObject({ code: 'store', cause: failure('NOTADB') })
  })

  test.each([undefined, null, 7, {}, ''])('%j is not a database', (database) => {
    expect(() => sqliteStore(database as string)).toThrow(TypeError)
  })

  test('tables of a newer version are reported and not changed', () => {
    sqliteStore(path).close()
    const db = new Database(path)
    db.prepare("UPDATE storelock_meta SET value = 99 WHERE name = 'version'").run()
    const contents = () => [path, `${path}-wal`].map((name) => readFileSync(name))
    const before = contents()
    const error = thrown(() => sqliteStore(path))
    expect(error).toMatchObject({ code: 'store' })
    expect(error.message).toContain('99')
    expect(error.message).toContain('update storelock')
    expect(contents()).toEqual(before)
    db.close()
  })

  test('a busy file is opened, and commands wait for it', async () => {
    const other = new Database(path)
    other.exec('CREATE TABLE theirs (x); BEGIN EXCLUSIVE')
    const store = sqliteStore(path)
    const outcomes = store.apply([beat])
    other.exec('COMMIT')
    expect(await outcomes).toMatchObject([{ type: 'beaten' }])
    await store.close()
    other.close()
  })
})

describe('a user’s handle', () => {
  test('gets storelock’s tables and keeps its settings', async () => {
    const db = new Database(path, { timeout: 1_234 })
    const settings = () =>
      ['journal_mode', 'synchronous', 'busy_timeout', 'foreign_keys', 'user_version'].map((name) => db.pragma(name, { simple: true }))
    const before = settings()
    const store = sqliteStore(db)
    await store.apply([beat, request])
    expect(settings()).toEqual(before)
    expect(db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'storelock%'").all()).toEqual([])
    await store.close()
    expect(db.prepare('SELECT 1').pluck().get()).toBe(1)
    db.close()
  })

  test('does not delay commands by a transaction that only reads', async () => {
    const db = new Database(path)
    db.pragma('journal_mode = WAL')
    const store = sqliteStore(db)
    db.exec('BEGIN')
    db.prepare('SELECT * FROM storelock_records').all()
    expect(await store.apply([beat, request])).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
    db.exec('COMMIT')
    await store.close()
    db.close()
  })

  test('may be closed: the store goes on with its own connection', async () => {
    const db = new Database(path)
    const store = sqliteStore(db)
    db.close()
    expect(await store.apply([beat])).toMatchObject([{ type: 'beaten' }])
    await store.close()
  })

  test('without a file is used itself, outside the user’s transactions', async () => {
    const db = new Database(':memory:')
    const store = sqliteStore(db)
    db.exec('CREATE TABLE theirs (x); BEGIN; INSERT INTO theirs VALUES (1)')
    const outcomes = store.apply([beat, request])
    await new Promise((resolve) => setTimeout(resolve, 10))
    db.exec('ROLLBACK')
    expect(await outcomes).toMatchObject([{ type: 'beaten' }, { type: 'granted' }])
    expect(db.prepare('SELECT * FROM theirs').all()).toEqual([])
    db.exec('BEGIN; INSERT INTO theirs VALUES (2)')
    const withdrawn = store.apply([{ type: 'withdraw', key: 'k', session: 'a', number: 1 }])
    db.exec('ROLLBACK')
    expect(await withdrawn).toMatchObject([{ type: 'done' }])
    expect(await store.read('k')).toMatchObject({ holders: [] })
    db.close()
    expect(await errorOf(store.apply([beat]))).toMatchObject({ code: 'store' })
  })
})

describe('a fault during use', () => {
  test('a full disk is reported, and existing records are kept', async () => {
    const big: Command[] = Array.from({ length: 200 }, (_, index) => ({ ...request, key: `k${index}`, metadata: 'x'.repeat(10_000) }) as Command)
    const memory = new Database(':memory:')
    memory.pragma('max_page_count = 30')
    const small = sqliteStore(memory)
    await small.apply([beat, request])
    const error = await errorOf(small.apply(big))
    expect(error).toMatchObject({ code: 'store', cause: failure('FULL') })
    expect(await small.read('k')).toMatchObject({ holders: [{ session: 'a' }] })
    expect(await small.list()).toHaveLength(1)
    expect(await small.apply([{ ...request, key: 'small' }])).toMatchObject([{ type: 'granted' }])
    await small.close()
  })

  test.skipIf(process.platform === 'win32')('a read-only file or directory is named, and not changed', async () => {
    await sqliteStore(path).close()
    const before = readFileSync(path)
    chmodSync(path, 0o444)
    chmodSync(folder, 0o555)
    const errors = asNobody(() => [thrown(() => sqliteStore(path)), thrown(() => sqliteStore(join(folder, 'new.db')))])
    for (const error of errors) expect(error).toMatchObject({ name: 'LockError', code: 'store' })
    expect(errors[0]?.message).toContain(path)
    expect(errors[1]?.message).toContain('new.db')
    expect(readFileSync(path)).toEqual(before)
  })

  test('with a read-only handle of a file records can be read, and commands fail', async () => {
    const writer = sqliteStore(path)
    await writer.apply([beat, request])
    const open = (file: string): Database.Database => new Database(file, { readonly: true })
    const db = open(path)
    // A handle of node:sqlite does not show that it is read-only.
    const store = sqliteStore(db, isBuiltIn ? { open } : {})
    expect(await store.read('k')).toMatchObject({ holders: [{ session: 'a' }] })
    expect(await errorOf(store.apply([beat]))).toMatchObject({ code: 'store', cause: failure('READONLY') })
    await store.close()
    await writer.close()
    db.close()
  })

  test('a read-only handle of a database in memory is refused', () => {
    const memory = new Database(':memory:')
    memory.pragma('query_only = 1')
    expect(thrown(() => sqliteStore(memory))).toMatchObject({ code: 'store', cause: failure('READONLY') })
    memory.close()
  })

  test('a deleted or replaced file is noticed by the next beat and the next look', async () => {
    const store = sqliteStore(path)
    await store.apply([beat, request])
    // Moves the log as well: SQLite would take a log that stays for that of the next file with this name.
    for (const which of ['', '-wal', '-shm']) renameSync(path + which, `${path}.old${which}`)
    for (const error of [await errorOf(store.apply([beat])), await errorOf(store.read('k')), await errorOf(store.list())]) {
      expect(error).toMatchObject({ code: 'store' })
      expect(error.message).toContain('moved or deleted')
    }
    sqliteStore(path).close()
    expect(await errorOf(store.apply([beat]))).toMatchObject({ code: 'store' })
    await store.close()
  })

  test('closing rejects waiting calls', async () => {
    const other = new Database(path)
    const store = sqliteStore(path)
    other.exec('BEGIN EXCLUSIVE')
    const waiting = errorOf(store.apply([beat]))
    await store.close()
    expect(await waiting).toMatchObject({ code: 'closed' })
    other.exec('COMMIT')
    other.close()
  })

  test('a batch that arrives while others pause because the file is busy makes all of them retry at once', async ({ onTestFinished }) => {
    const other = new Database(path)
    const store = sqliteStore(path)
    await store.apply([beat])
    other.exec('BEGIN IMMEDIATE')
    // With fake timers no pause ends by itself.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const first = store.apply([request])
    while (!vi.getTimerCount()) await new Promise(setImmediate)
    other.exec('COMMIT')
    const second = store.apply([{ ...request, number: 2 } as Command])
    expect((await Promise.all([first, second])).flat()).toMatchObject([{ type: 'granted' }, { type: 'queued' }])
    expect(vi.getTimerCount()).toBe(0)
    await store.close()
    other.close()
  })

  test('a busy file never causes an error: waiting batches keep their order', async () => {
    const other = new Database(path)
    const store = sqliteStore(path)
    await store.apply([beat])
    other.exec('BEGIN IMMEDIATE')
    const waiting = Array.from({ length: 20 }, (_, index) => store.apply([{ ...request, number: index + 1 } as Command]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    other.exec('COMMIT')
    const outcomes = (await Promise.all(waiting)).flat()
    expect(outcomes.map(({ type }) => type)).toEqual(['granted', ...Array.from({ length: 19 }, () => 'queued')])
    expect((await store.read('k'))?.queue).toMatchObject([{ from: 2, to: 20 }])
    await store.close()
    other.close()
  })
})
