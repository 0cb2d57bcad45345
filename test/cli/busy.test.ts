import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program } from '../../e2e/cli/program.ts'
import { withProgram } from '../../e2e/cli/setup.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const place = withProgram()
let folder: string
let writer: Database.Database

/** Makes a file with two locks: one held by a silent session, one free. @returns a connection for the writer */
async function fileAt(path: string): Promise<Database.Database> {
  const store = sqliteStore(path)
  await store.apply([
    { type: 'beat', session: 'silent', client: 'nobody', lease: 300, opens: true },
    { type: 'pin', key: 'idle', entity: 'me' },
    { type: 'unpin', key: 'idle', entity: 'me' },
    { type: 'request', key: 'held', session: 'silent', client: 'nobody', number: 1, mode: 'exclusive', confirm: 500 },
  ])
  await store.close()
  return new Database(path)
}

beforeEach(async () => {
  folder = place.folder
  writer = await fileAt(join(folder, 'storelock.db'))
})
afterEach(() => {
  killAll()
  writer.close()
})

const start = (...args: readonly string[]): Program => new Program([process.execPath, place.main, ...args], { cwd: folder })

const busy: Readonly<Record<string, string>> = {
  'has a write transaction open': 'BEGIN IMMEDIATE',
  'has an exclusive lock on the file, in another journal mode': 'PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE',
}

/** The commands that wait, with their arguments. */
const waits: readonly (readonly string[])[] = [
  ['run', 'job', '--', 'true'],
  ['revoke', 'held'],
  ['expire', 'held'],
  ['sweep', '--older-than', '0s'],
  ['pin', 'job', 'me'],
  ['ask', 'held'],
]

const blocker = process.platform === 'linux' ? `process ${process.pid} (` : 'has not answered'

describe.each(Object.entries(busy))('while another process %s', { timeout: 90_000 }, (_, begin) => {
  beforeEach(() => void writer.exec(begin))

  it('`run -n` ends within a second, names the writing process, and leaves no request', async () => {
    for (const options of [[], ['--conflict-exit-code', '75']]) {
      // How long the program takes to start depends on the machine: another run, on a file that is not busy, shows it.
      const before = performance.now()
      await start('run', 'job', '--nonblock', '--store', 'idle.db', '--', 'true').code()
      const begun = performance.now()
      const program = start('run', 'job', '--nonblock', '--verbose', ...options, '--', 'true')
      expect(await program.code()).toBe(Number(options[1] ?? 1))
      expect(performance.now() - begun).toBeLessThan(850 + begun - before)
      expect(program.said).toContain(blocker)
    }
    writer.exec('COMMIT')
    expect(await start('run', 'job', '--nonblock', '--', 'true').code()).toBe(0)
  })

  it('`run -w` exits with 124 at its timeout, and names the writing process', async () => {
    const program = start('run', 'job', '--timeout', '1.5s', '--', 'true')
    expect(await program.code()).toBe(124)
    expect(program.said).toContain(blocker)
  })

  it.each(waits)('`%s` names the writing process after a second, and goes on when that commits', async (...args) => {
    const program = start(...args)
    await program.shows(/(waiting for \.\/storelock\.db)/)
    expect(program.said).toContain(blocker)
    writer.exec('COMMIT')
    expect(await program.code()).toBe(0)
    expect(program.said.trim().split('\n')).toHaveLength(1)
  })
})

it('the commands that do not wait for a lock give up after half a minute', { timeout: 90_000 }, async () => {
  // Both kinds run at the same time, since each takes half a minute.
  const writers = await Promise.all(Object.keys(busy).map((_, index) => fileAt(join(folder, `${index}.db`))))
  for (const [index, begin] of Object.values(busy).entries()) writers[index]?.exec(begin)
  const programs = writers.flatMap((_, index) => waits.slice(1, 5).map((args) => start(...args, '--store', `${index}.db`)))
  expect(await Promise.all(programs.map((program) => program.code()))).toEqual(programs.map(() => 125))
  for (const { said } of programs) expect(said).toMatch(/did not answer within 30s|cannot be read/)
  for (const writer of writers) writer.close()
})

describe('a command', { timeout: 60_000 }, () => {
  it('that already runs under a lock does not see messages about a busy file', async () => {
    const program = start('run', 'job', '--', 'sh', '-c', 'echo begun; read -r line')
    await program.shows(/(begun)/)
    writer.exec('BEGIN IMMEDIATE')
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    writer.exec('COMMIT')
    program.child.stdin?.end('\n')
    expect(await program.code()).toBe(0)
    expect(program.said).not.toContain('waiting')
  })
})
