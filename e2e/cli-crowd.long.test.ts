import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createLocks } from '../src/index.ts'
import type { Command } from '../src/protocol/index.ts'
import { sqliteStore } from '../src/stores/sqlite.ts'
import { flocksOfNodeAtOnce, runsAtOnce } from './cli/crowd.ts'
import { Program } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

const place = withProgram()

describe('runs that wait for one lock', () => {
  test('all end, a hundred at once, within three times as long as Node programs that call flock', { timeout: 600_000 }, async () => {
    const theirs = await flocksOfNodeAtOnce(place.folder, 100)
    const ours = await runsAtOnce(place.main, place.folder, 100)
    expect(ours.failures).toEqual([])
    if (process.env.FIGURES) console.log(`100 at once: ${Math.round(ours.took)} ms, by flock ${Math.round(theirs.took)} ms`)
    expect(ours.took / theirs.took).toBeLessThan(3)
  })

  test('wait again if the lock is lost before the command started', { timeout: 60_000 }, async () => {
    const file = join(place.folder, 'locks.db')
    const store = sqliteStore(file)
    const locks = createLocks({ store })
    const writer = new Database(file)
    const lock = await locks.acquire('job')
    const command = [process.execPath, place.main, 'run', 'job', '--store', file, '--verbose', '--', 'echo', 'began']
    const run = new Program(command, { cwd: place.folder })
    while (!(await locks.query('job')).pending.length) await new Promise((resolve) => setTimeout(resolve, 10))

    // Released and blocked in one step: the run sees its grant, but cannot confirm it before the grant lapses.
    const release: Command = { type: 'release', key: lock.key, session: lock.session, token: lock.token }
    void store.apply([release])
    writer.exec('BEGIN IMMEDIATE')
    await run.shows(/(lost before the command started)/)
    expect(run.printed).toBe('')
    writer.exec('COMMIT')

    expect(await run.code()).toBe(0)
    expect(run.printed).toBe('began\n')
    writer.close()
    await locks.close()
    await store.close()
  })
})
