import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Locks } from 'storelock'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { built } from '../house/built.ts'
import { writeFolder } from './migrate/migrations.ts'
import { migrate, type Tool } from './migrate/tools.ts'

let program: string
let folder: string
beforeAll(async () => {
  const [path = ''] = await built(new URL('migrate/process.ts', import.meta.url))
  program = path
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-migrate-'))
  writeFolder(join(folder, 'drizzle'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Starts processes that migrate at the same moment. @returns the result of each, or the signal that ended it */
async function race(tool: Tool, ...hows: readonly ('live' | 'die')[]): Promise<string[]> {
  const children = hows.map((how) => fork(program, [tool, folder, how], { execArgv: [] }))
  const ready = children.map((child) => once(child, 'message'))
  const ends = children.map(async (child) => {
    const told: unknown[] = []
    child.on('message', (result) => told.push(result))
    const [code, signal] = await once(child, 'exit')
    return `${signal ?? told[1] ?? code}`
  })
  await Promise.race([Promise.all(ready), Promise.all(ends)])
  for (const child of children) child.send('go', () => {})
  return Promise.all(ends)
}

function notes(): unknown[] {
  const db = new Database(join(folder, 'app.db'))
  try {
    const there = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'notes'").get()
    return there ? db.prepare('SELECT text FROM notes').pluck().all() : []
  } finally {
    db.close()
  }
}

/** Revokes each lock right after its grant. The same happens to a process that is stopped for too long. */
const robbed = (locks: Locks): Locks => ({
  ...locks,
  async acquire(name) {
    const lock = await locks.acquire(name)
    await locks.revoke(name)
    return lock
  },
})

describe.each<Tool>(['kysely', 'drizzle', 'knex'])('the recipe for migrations by %s', (tool) => {
  test('three processes that start at once run each migration once', async () => {
    expect(await race(tool, 'live', 'live', 'live')).toEqual(Array(3).fill('migrated'))
    expect(notes()).toEqual(['first'])
  })

  test('a process that is killed in the middle leaves no changes, and the next one migrates', async () => {
    expect(await race(tool, 'die')).toEqual(['SIGKILL'])
    expect(notes()).toEqual([])
    await migrate(tool, folder)
    expect(notes()).toEqual(['first'])
  })

  test('a process that has lost its lock writes nothing', async () => {
    const error = await migrate(tool, folder, undefined, robbed).catch((error) => error)
    // Drizzle wraps the error.
    expect([error.code, error.cause?.code]).toContain('lost')
    expect(notes()).toEqual([])
    await migrate(tool, folder)
    expect(notes()).toEqual(['first'])
  })
})
