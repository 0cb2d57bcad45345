import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { built } from '../house/built.ts'

const [script] = (await built(new URL('hammer.ts', import.meta.url))) as [string]
const run = promisify(execFile)

test('several processes on one file lose no increment and see no error, although a foreign writer keeps it busy', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const path = join(folder, 'test.db')
  const foreign = new Database(path)
  foreign.pragma('journal_mode = WAL')
  foreign.exec('CREATE TABLE counter (value INTEGER); INSERT INTO counter VALUES (0)')
  const turns = 40
  try {
    let running = true
    const children = ['a', 'b', 'c', 'd'].map((session) => run(process.execPath, [script, path, session, String(turns)]))
    const all = Promise.all(children).finally(() => {
      running = false
    })
    all.catch(() => {})
    while (running) {
      foreign.exec('BEGIN IMMEDIATE')
      await pause(30)
      foreign.exec('COMMIT')
      await pause(30)
    }
    const outputs = await all
    expect(outputs.map(({ stderr }) => stderr)).toEqual(['', '', '', ''])
    const tokens = outputs.map(({ stdout }) => JSON.parse(stdout) as number[])
    for (const own of tokens) expect(own).toEqual([...own].sort((a, b) => a - b))
    expect(new Set(tokens.flat()).size).toBe(turns * 4)
    expect(foreign.prepare('SELECT value FROM counter').pluck().get()).toBe(turns * 4)

    const store = sqliteStore(path)
    expect(await store.read('k')).toMatchObject({ token: Math.max(...tokens.flat()), holders: [], queue: [] })
    await store.close()
  } finally {
    foreign.close()
    rmSync(folder, { recursive: true })
  }
})

test('processes that open a new file at the same moment all succeed', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  const open = `
    const { sqliteStore } = await import(${JSON.stringify(new URL('../../src/stores/sqlite.ts', import.meta.url).href)})
    for (let number = 0; number < 20; number++) {
      while (Date.now() % 20) {}
      const store = sqliteStore(process.argv[1] + '/' + Math.floor(Date.now() / 20) + '.db')
      await store.apply([{ type: 'beat', session: String(process.pid), client: 'c', lease: 1000, opens: true }])
      await store.close()
    }`
  try {
    const children = [1, 2, 3, 4].map(() => run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', open, folder]))
    for (const { stderr } of await Promise.all(children)) expect(stderr).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
