import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'
import { remedyFor } from '../../src/cli/store.ts'
import { LockError } from '../../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A failure as a store reports it. */
function failureOf(use: () => unknown): LockError {
  try {
    use()
  } catch (cause) {
    return new LockError('store', 'it failed', { cause })
  }
  throw new Error('it did not fail')
}

const change = 'CREATE TABLE grown AS SELECT randomblob(100000)'

describe('a remedy is suggested', () => {
  it('for a read-only file', () => {
    const file = join(folder, 'read-only.db')
    new Database(file).close()
    expect(remedyFor(failureOf(() => new Database(file, { readonly: true }).exec(change)))).toContain('make the file and its folder writable')
  })

  it('for a full disk', () => {
    const db = new Database(join(folder, 'full.db'))
    db.pragma('max_page_count = 2')
    expect(remedyFor(failureOf(() => db.exec(change)))).toContain('free some space')
  })

  it('for a file that is not a database', () => {
    const file = join(folder, 'letter.txt')
    writeFileSync(file, 'Dear Sir or Madam, '.repeat(100))
    expect(remedyFor(failureOf(() => new Database(file).exec(change)))).toContain('name a SQLite database')
  })

  it('for node:sqlite’s errors, which have only numbers', () => {
    const cause = Object.assign(new Error('attempt to write a readonly database'), { code: 'ERR_SQLITE_ERROR', errcode: 1_032 })
    expect(remedyFor(new LockError('store', 'it failed', { cause }))).toContain('make the file and its folder writable')
  })

  it('for no other failure', () => {
    expect(remedyFor(new LockError('lost', 'it was revoked'))).toBeUndefined()
    expect(remedyFor(undefined)).toBeUndefined()
  })
})
