import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks, type Locks } from 'storelock'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SqliteStore, sqliteStore } from '../../src/stores/sqlite.ts'

const names = Array.from({ length: 40 }, (_, index) => `name ${index}`)

let folder: string
let file: string
let now: number
const endings: (() => unknown)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  file = join(folder, 'a.db')
  now = Date.now()
})

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
  rmSync(folder, { recursive: true })
})

function open(): { store: SqliteStore<unknown>; locks: Locks } {
  const store = sqliteStore(file, { now: () => now })
  const locks = createLocks({ store })
  endings.push(
    () => store.close(),
    () => locks.close(),
  )
  return { store: store as SqliteStore<unknown>, locks }
}

const raw = <T>(use: (db: Database.Database) => T): T => {
  const db = new Database(file)
  try {
    return use(db)
  } finally {
    db.close()
  }
}

const keysIn = (table: string): unknown[] => raw((db) => db.prepare(`SELECT key FROM ${table} ORDER BY key`).pluck().all())

/** Takes each name once, and waits until the idle records are moved to their own table. @returns the tokens */
async function putApart({ locks }: { locks: Locks }): Promise<Map<string, number>> {
  const tokens = new Map<string, number>()
  for (const name of names) {
    const lock = await locks.acquire(name)
    tokens.set(name, lock.token)
    await lock.release()
  }
  now += 2_000
  await locks.query()
  while (keysIn('storelock_records').length) await new Promise((resolve) => setImmediate(resolve))
  return tokens
}

test('a lock whose record was moved to the idle table continues from its last token, whichever session takes it', async () => {
  const [a, b] = [open(), open()]
  const tokens = await putApart(a)
  for (const [{ locks }, name, dirty] of [
    [a, 'name 1', false],
    [b, 'name 2', true],
  ] as const) {
    const lock = await locks.acquire(name)
    expect([lock.previous, lock.dirty]).toEqual([tokens.get(name), dirty])
    expect(lock.token).toBeGreaterThan(tokens.get(name) as number)
    expect((await b.locks.query()).held.map((held) => held.name)).toEqual([name])
    await lock.release()
    expect(keysIn('storelock_idle')).not.toContain(name)
  }
})

test('idle records are in lists and pages like all others, and can be swept', async () => {
  const { store, locks } = open()
  await putApart({ locks })
  await locks.acquire('name 15')
  await locks.acquire('other')
  const all = [...names, 'other'].sort()
  expect((await store.list()).map(({ key }) => key)).toEqual(all)
  const paged: string[] = []
  for (let page = ['']; page.length; paged.push(...page)) page = (await store.page?.('', paged.at(-1), 7))?.map(({ key }) => key) ?? []
  expect(paged).toEqual(all)
  expect((await store.page?.('', undefined, 7, { busy: true }))?.map(({ key }) => key)).toEqual(['name 15', 'other'])
  expect((await store.read('name 3'))?.token).toBeGreaterThan(0)
  expect(await locks.sweep()).toBe(39)
  expect(keysIn('storelock_idle')).toEqual([])
})

test('an older storelock that does not know the idle table cannot start an idle record anew', async () => {
  await putApart(open())
  const insert = (key: string) => () =>
    raw((db) => db.prepare('INSERT INTO storelock_records VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record').run(key, '[]'))
  expect(insert('name 7')).toThrow('update storelock')
  expect(insert('another')).not.toThrow()
})

test('a file of an older storelock gets the idle table when there is a record to move there', async () => {
  const old = sqliteStore(file, { now: () => now })
  await old.close()
  raw((db) => db.exec('DROP TRIGGER storelock_idle_is_known; DROP TABLE storelock_idle'))
  const [a, b] = [open(), open()]
  expect(await b.store.list()).toEqual([])
  await putApart(a)
  expect(keysIn('storelock_idle')).toHaveLength(40)
  expect(await b.store.list()).toHaveLength(40)
  expect((await b.locks.acquire('name 1')).previous).toBeGreaterThan(0)
})

test('a recently used record is not moved', async () => {
  const { locks } = open()
  for (const name of names) await (await locks.acquire(name)).release()
  await locks.query()
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(keysIn('storelock_records')).toHaveLength(40)
})
