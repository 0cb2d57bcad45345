import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Fenced } from '../../src/protocol/index.ts'
import type { FencedStore } from '../../src/store.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

let folder: string
let db: Database.Database
let store: FencedStore<Database.Database>
let lock: Fenced
const handles: Database.Database[] = []

const open = (name = 'app.db'): Database.Database => {
  const handle = new Database(join(folder, name), { timeout: 0 })
  handle.pragma('journal_mode = WAL')
  handles.push(handle)
  return handle
}

const rows = (): unknown[] => db.prepare('SELECT text FROM notes').pluck().all()
const note = (tx: Database.Database, text: string): void => void tx.prepare('INSERT INTO notes VALUES (?)').run(text)

/** Steals the lock from its holder, which does not notice. */
const rob = () => store.apply([{ type: 'request', key: 'k', session: 'b', client: 'b', number: 1, mode: 'exclusive', confirm: 500, steal: true }])

/** Whether another connection can write now. */
function othersCanWrite(): boolean {
  const other = open()
  try {
    other.exec('BEGIN IMMEDIATE; ROLLBACK')
    return true
  } catch {
    return false
  } finally {
    other.close()
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  db = open()
  db.exec('CREATE TABLE notes (text)')
  store = sqliteStore(db)
  const outcomes = await store.apply([
    { type: 'beat', session: 'a', client: 'a', lease: 1_000, opens: true },
    { type: 'beat', session: 'b', client: 'b', lease: 1_000, opens: true },
    { type: 'request', key: 'k', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  const [, , granted] = outcomes
  if (granted?.type !== 'granted') throw new Error('not granted')
  // This lock never notices that it is lost.
  lock = { name: 'k', key: 'k', session: 'a', token: granted.holder.token, assertHeld() {} }
})

afterEach(async () => {
  await store.close()
  for (const handle of handles.splice(0)) handle.close()
  rmSync(folder, { recursive: true })
})

describe('J6: check() in a user’s transaction', () => {
  test('lets a holder commit', () => {
    db.transaction(() => {
      store.check(db, lock)
      note(db, 'held')
    })()
    expect(rows()).toEqual(['held'])
  })

  test.each(['deferred', 'immediate', 'exclusive'] as const)('fails if the lock was stolen, in a %s transaction', async (kind) => {
    await rob()
    const write = db.transaction(() => {
      note(db, 'before the check')
      store.check(db, lock)
    })
    expect(() => write[kind]()).toThrow(expect.objectContaining({ code: 'lost' }))
    expect(rows()).toEqual([])
  })

  test.each(['BEGIN', 'BEGIN IMMEDIATE', 'SAVEPOINT s'])('prevents a take-over until a transaction begun by %s ends', async (begin) => {
    db.exec(begin)
    store.check(db, lock)
    expect(othersCanWrite()).toBe(false)
    let robbed = false
    const robbing = rob().then(() => {
      robbed = true
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(robbed).toBe(false)
    note(db, 'held')
    db.exec(begin.startsWith('SAVEPOINT') ? 'RELEASE s' : 'COMMIT')
    await robbing
    expect(rows()).toEqual(['held'])
  })

  test('still prevents other writes if it was made in a savepoint that was rolled back', () => {
    db.exec('BEGIN; SAVEPOINT s')
    store.check(db, lock)
    db.exec('ROLLBACK TO s; RELEASE s')
    expect(othersCanWrite()).toBe(false)
    db.exec('COMMIT')
  })

  test('fails in a transaction that began to read before the lock was stolen', async () => {
    db.exec('BEGIN; SELECT * FROM notes')
    await rob()
    expect(() => store.check(db, lock)).toThrow(/locked|lost/)
    db.exec('ROLLBACK')
  })

  test('finds the locks in an attached file, whatever its schema name', async () => {
    const other = open('other.db')
    const attach = other.prepare('ATTACH ? AS "its ""locks"""')
    attach.run(join(folder, 'app.db'))
    other.exec('CREATE TABLE things (text)')
    const write = other.transaction((text: string) => {
      store.check(other, lock)
      other.prepare('INSERT INTO things VALUES (?)').run(text)
    })
    write('held')
    await rob()
    expect(() => write('not held')).toThrow(expect.objectContaining({ code: 'lost' }))
    expect(other.prepare('SELECT text FROM things').pluck().all()).toEqual(['held'])
  })

  test('is not fooled by another file with locks that was attached in place of the first', async () => {
    const strange = sqliteStore(join(folder, 'strange.db'))
    await strange.close()
    const other = open('other.db')
    other.prepare('ATTACH ? AS locks').run(join(folder, 'app.db'))
    other.transaction(() => store.check(other, lock))()
    other.exec('DETACH locks')
    other.prepare('ATTACH ? AS locks').run(join(folder, 'strange.db'))
    expect(() => other.transaction(() => store.check(other, lock))()).toThrow(/cannot see the locks.*attach/)
  })

  test('throws outside a transaction, and on a handle without the locks', () => {
    expect(() => store.check(db, lock)).toThrow(/begin one first/)
    const stranger = open('strange.db')
    expect(() => stranger.transaction(() => store.check(stranger, lock))()).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test('fails without reading if the holder knows that the lock is lost', () => {
    const told = { ...lock, assertHeld: () => expect.fail('told') }
    expect(() => db.transaction(() => store.check(db, told))()).toThrow('told')
  })

  test('fails once the file was replaced', async () => {
    renameSync(join(folder, 'app.db'), join(folder, 'moved.db'))
    open('app.db')
    await new Promise((resolve) => setTimeout(resolve, 15))
    expect(() => db.transaction(() => store.check(db, lock))()).toThrow(/moved or deleted/)
  })
})

describe('J6: transaction()', () => {
  test('refuses a body that returns a promise, and undoes its writes', async () => {
    const late = store.transaction(lock, async (tx) => note(tx, 'too early'))
    await expect(late).rejects.toThrow(TypeError)
    await expect(late).rejects.toThrow(/synchronous/)
    expect(rows()).toEqual([])
    await store.transaction(lock, (tx) => note(tx, 'in one step'))
    expect(rows()).toEqual(['in one step'])
  })

  test('undoes everything when the body throws', async () => {
    const body = (tx: Database.Database): void => {
      note(tx, 'half')
      throw new RangeError('a mistake')
    }
    await expect(store.transaction(lock, body)).rejects.toThrow(RangeError)
    expect(rows()).toEqual([])
    expect(othersCanWrite()).toBe(true)
  })

  test('waits while another connection writes, and writes nothing if the lock is lost meanwhile', async () => {
    const other = open()
    other.exec('BEGIN IMMEDIATE')
    const held = store.transaction(lock, (tx) => note(tx, 'held'))
    let lost = false
    const aware = { ...lock, assertHeld: () => (lost ? expect.fail('told') : undefined) }
    const late = expect(store.transaction(aware, (tx) => note(tx, 'late'))).rejects.toThrow('told')
    await new Promise((resolve) => setTimeout(resolve, 10))
    lost = true
    other.exec('ROLLBACK')
    await held
    await late
    expect(rows()).toEqual(['held'])
  })

  test('is refused while the user has a transaction open', async () => {
    db.exec('BEGIN')
    await expect(store.transaction(lock, (tx) => note(tx, 'x'))).rejects.toThrow(/use check\(\)/)
    db.exec('COMMIT')
    expect(rows()).toEqual([])
  })

  test('serves many concurrent writers one after another', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.transaction(lock, (tx) => note(tx, `${index}`))))
    expect(rows()).toHaveLength(50)
  })

  test('runs on the store’s own connection if the store was made from a path', async () => {
    const own = sqliteStore(join(folder, 'app.db'))
    await own.transaction(lock, (tx) => tx.prepare('INSERT INTO notes VALUES (?)').run('held'))
    expect(rows()).toEqual(['held'])
    await own.close()
    await expect(own.transaction(lock, () => {})).rejects.toMatchObject({ code: 'closed' })
  })
})
