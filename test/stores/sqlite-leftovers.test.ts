import { lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { type Command, encodeSession } from 'storelock/protocol'
import { type SqliteDatabase, sqliteStore } from 'storelock/stores/sqlite'
import { afterEach, expect, test, vi } from 'vitest'
import { withFolder } from './sqlite-folder.ts'

let folder = ''
withFolder((made) => {
  folder = made
})

const endings: (() => unknown)[] = []

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** The number of rows that a beat returns, and that a new session ends at a time. */
const page = 16

/** A file in which this many crashed processes left a session and a sidecar file. */
async function leftBy(count: number): Promise<string> {
  const file = join(folder, 'a.db')
  await sqliteStore(file).close()
  const db = new Database(file)
  mkdirSync(`${file}-storelock`)
  const put = db.prepare('INSERT INTO storelock_sessions VALUES (?, ?, ?)')
  for (let n = 0; n < count; n++) {
    const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => (byte % 36).toString(36)).join('')
    const name = `${id}-abcdefabcdef-abcdef`
    const path = join(`${file}-storelock`, name)
    writeFileSync(path, '')
    const beacon = `${name}:${lstatSync(path).ino}`
    put.run(id, 0, encodeSession({ id, client: id, seq: 1, lease: 1_000, expiresAt: 0, evictions: 0, asks: 0, beacon }))
  }
  db.close()
  return file
}

/** `open` opens databases that count, for each turn of the event loop, the transactions that end sessions and the ended sessions. */
function counting() {
  const most = { transactions: 0, sessions: 0 }
  let turn = { transactions: 0, sessions: 0 }
  let ends = 0
  let isOver = false
  const next = (): void => {
    most.transactions = Math.max(most.transactions, turn.transactions)
    most.sessions = Math.max(most.sessions, turn.sessions)
    turn = { transactions: 0, sessions: 0 }
    if (!isOver) setImmediate(next)
  }
  next()
  endings.push(() => {
    isOver = true
  })
  const open = (path: string): SqliteDatabase => {
    const db = new Database(path)
    const prepare = db.prepare.bind(db) as (sql: string) => Database.Statement
    const counted = (sql: string): Database.Statement => {
      const statement = prepare(sql)
      const run = statement.run.bind(statement)
      return Object.assign(statement, {
        run(...bound: unknown[]) {
          if (sql.startsWith('DELETE FROM storelock_sessions')) ends++
          if (sql === 'COMMIT' && ends) {
            turn.transactions++
            turn.sessions += ends
            ends = 0
          }
          return run(...bound)
        },
      })
    }
    return Object.assign(db, { prepare: counted })
  }
  return { most, open }
}

test('a new session ends the dead ones that it finds a page at a time, each page in one transaction and its own turn of the event loop', async () => {
  const file = await leftBy(3 * page)
  const { most, open } = counting()
  const store = sqliteStore(file, { open })
  const locks = createLocks({ store })
  endings.push(
    () => store.close(),
    () => locks.close(),
  )
  await locks.acquire('k')
  const reader = new Database(file, { readonly: true })
  endings.push(() => reader.close())
  const rows = reader.prepare('SELECT count(*) AS rows FROM storelock_sessions')
  await vi.waitFor(() => expect([rows.get(), readdirSync(`${file}-storelock`).length]).toEqual([{ rows: 1 }, 1]), 15_000)
  expect(most.transactions).toBe(1)
  expect(most.sessions).toBeLessThanOrEqual(page)
})

test('ending sixteen successive sessions among thousands writes only a few pages of the file', async () => {
  const file = await leftBy(0)
  const store = sqliteStore(file)
  endings.push(() => store.close())
  const id = (n: number): string => `s${((n * 7_919) % 4_000).toString().padStart(4, '0')}`
  for (let from = 0; from < 4_000; from += 500)
    await store.apply(
      Array.from({ length: 500 }, (_, n): Command => ({ type: 'beat', session: id(from + n), client: 'c'.repeat(24), lease: 1_000, opens: true })),
    )
  const db = new Database(file)
  endings.push(() => db.close())
  db.pragma('wal_checkpoint(TRUNCATE)')
  const ends = Array.from({ length: page }, (_, n): Command => ({ type: 'end', session: `s${1_000 + n}` }))
  expect((await store.apply(ends)).map(({ type }) => type)).toEqual(Array(page).fill('ended'))
  // A page has 4,096 bytes, and 24 bytes for its frame header.
  const pages = statSync(`${file}-wal`).size / (4_096 + 24)
  expect(pages).toBeLessThan(page / 2)
})
