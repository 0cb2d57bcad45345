import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program, until } from '../../e2e/cli/program.ts'
import { withProgram } from '../../e2e/cli/setup.ts'
import { createLocks, type Locks, type Store } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const place = withProgram()
let folder: string
let file: string
/** The folder for the program's temporary files. */
let scratch: string
let store: Store
let locks: Locks

beforeEach(async () => {
  folder = place.folder
  file = join(folder, 'storelock.db')
  scratch = mkdtempSync(join(tmpdir(), 'storelock-'))
  store = sqliteStore(file)
  locks = createLocks({ store, label: 'the holder' })
  await locks.acquire('job')
})
afterEach(async () => {
  killAll()
  chmodSync(folder, 0o700)
  await locks.close()
  await store.close()
  expect(readdirSync(scratch).filter((name) => name.startsWith('storelock-look-'))).toEqual([])
  rmSync(scratch, { recursive: true })
})

const start = (...args: readonly string[]): Program =>
  new Program([process.execPath, place.main, ...args], { cwd: folder, env: { ...process.env, TMPDIR: scratch, TEMP: scratch } })

/** Whether a program is looking at a copy of the file. */
const copies = (): boolean => readdirSync(scratch).some((name) => name.startsWith('storelock-look-'))

async function hasLooked(watching: Program): Promise<void> {
  await until(copies)
  watching.child.kill('SIGINT')
}

/** Root may write anywhere, so root becomes another user; file modes stop every other user. */
const stranger = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const asStranger = (...args: readonly string[]): Program =>
  new Program([process.execPath, place.main, ...args], { cwd: folder, ...stranger, env: { ...process.env, HOME: '/nonexistent' } })

const looks: readonly (readonly string[])[] = [['ls'], ['show', 'job'], ['watch', '--interval', '20ms'], ['doctor']]
/** What each command shows about the held lock. */
const shown: Readonly<Record<string, RegExp>> = {
  ls: /(job) +the holder/,
  show: /held by (the holder)/,
  watch: /(job) {2}held {2}the holder/,
  doctor: /ok +rows +(records: 1)/,
}

async function assertShows(program: Program, [name = '']: readonly string[]): Promise<void> {
  await program.shows(shown[name] as RegExp)
  if (name === 'watch') program.child.kill('SIGINT')
  expect(await program.ending()).toBe(name === 'watch' ? 'SIGINT' : 0)
  expect(program.said).toBe('')
}

/** Opens a write transaction on another connection, which stays open. */
function writing(begin = 'BEGIN IMMEDIATE'): Database.Database {
  const writer = new Database(file)
  writer.exec(`CREATE TABLE IF NOT EXISTS theirs (x)`)
  writer.exec(`${begin}; INSERT INTO theirs VALUES (1)`)
  return writer
}

describe.each(looks.map((args) => [args[0] as string, args] as const))('%s', { timeout: 60_000 }, (name, args) => {
  it('reads while another process has a write transaction open', async () => {
    const writer = writing()
    await assertShows(start(...args), args)
    writer.close()
  })

  it('reads in another journal mode while another process has a write transaction open', async () => {
    const copy = join(folder, 'copy.db')
    const db = new Database(file)
    db.exec(`VACUUM INTO '${copy}'`)
    db.close()
    const writer = new Database(copy)
    writer.exec('PRAGMA journal_mode = DELETE; CREATE TABLE theirs (x); BEGIN IMMEDIATE; INSERT INTO theirs VALUES (1)')
    await assertShows(start(...args, '--store', 'copy.db'), args)
    writer.close()
  })

  it.skipIf(process.platform === 'win32')('reads for a user without write permission', async () => {
    for (const each of readdirSync(folder).filter((each) => !each.endsWith('-storelock'))) chmodSync(join(folder, each), 0o444)
    chmodSync(folder, 0o555)
    await assertShows(asStranger(...args), args)
  })

  it.skipIf(process.platform === 'win32')('reads for a user without write permission when no process has the store open', async () => {
    const db = new Database(file)
    db.exec(`VACUUM INTO '${join(folder, 'idle.db')}'`)
    db.close()
    const idle = new Database(join(folder, 'idle.db'))
    idle.pragma('journal_mode = WAL')
    idle.close()
    chmodSync(join(folder, 'idle.db'), 0o444)
    chmodSync(folder, 0o555)
    await assertShows(asStranger(...args, '--store', 'idle.db'), args)
  })

  it.skipIf(process.platform === 'win32')('reads for a user without write permission after the last writer was killed', async () => {
    // As after a crash: the last writes are only in the log.
    for (const suffix of ['', '-wal', '-shm']) {
      copyFileSync(`${file}${suffix}`, `${join(folder, 'crashed.db')}${suffix}`)
      chmodSync(`${join(folder, 'crashed.db')}${suffix}`, 0o444)
      if (suffix === '-shm') continue
      copyFileSync(`${file}${suffix}`, `${join(folder, 'restored.db')}${suffix}`)
      chmodSync(`${join(folder, 'restored.db')}${suffix}`, 0o444)
    }
    chmodSync(folder, 0o555)
    await assertShows(asStranger(...args, '--store', 'crashed.db'), args)
    await assertShows(asStranger(...args, '--store', 'restored.db'), args)
  })

  it('leaves no trace in the file or beside it', async () => {
    await locks.close()
    await store.close()
    const before = [readdirSync(folder).filter((each) => !each.endsWith('-storelock')), statSync(file).mtimeMs, readFileSync(file).toString('base64')]
    const program = start(...args)
    if (name === 'watch') await hasLooked(program)
    await program.ending()
    expect([
      readdirSync(folder).filter((each) => !each.endsWith('-storelock')),
      statSync(file).mtimeMs,
      readFileSync(file).toString('base64'),
    ]).toEqual(before)
  })

  it.skipIf(process.platform === 'win32')('follows a symbolic link to the file', async () => {
    const other = mkdtempSync(join(tmpdir(), 'storelock-'))
    symlinkSync(file, join(other, 'link.db'))
    await assertShows(start(...args, '--store', join(other, 'link.db')), args)
    expect(readdirSync(other)).toEqual(['link.db'])
    rmSync(other, { recursive: true })
  })

  it('makes no tables in a database without them', async () => {
    const empty = new Database(join(folder, 'empty.db'))
    empty.exec('PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)')
    empty.close()
    const before = readFileSync(join(folder, 'empty.db'))
    const program = start(...args, '--store', 'empty.db')
    if (name === 'watch') await hasLooked(program)
    expect(await program.ending()).toBe(name === 'watch' ? 'SIGINT' : 0)
    expect(readFileSync(join(folder, 'empty.db')).equals(before)).toBe(true)
  })

  it('gives up after a while, and names the process that has an exclusive lock on the file', async () => {
    const db = new Database(file)
    db.exec(`VACUUM INTO '${join(folder, 'shut.db')}'`)
    db.close()
    const shut = new Database(join(folder, 'shut.db'))
    shut.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
    const begun = performance.now()
    const program = start(...args, '--store', 'shut.db')
    expect(await program.code()).toBe(name === 'doctor' ? 1 : 125)
    expect(performance.now() - begun).toBeLessThan(15_000)
    expect(`${program.said}${program.printed}`).toContain(`process ${process.pid}`)
    shut.close()
  })
})

describe('watch', { timeout: 60_000 }, () => {
  it('shows changes that happen after it has started on a store that no process had open', async () => {
    await locks.close()
    await store.close()
    const program = start('watch', '--interval', '20ms', '--json')
    await until(copies)
    store = sqliteStore(file)
    locks = createLocks({ store, label: 'the next one' })
    await locks.acquire('other')
    await program.shows(/"key":"(other)".*"held"/)
    await locks.close()
    await store.close()
    await program.shows(/"key":"(other)".*"released"/)
    program.child.kill('SIGINT')
    expect(await program.ending()).toBe('SIGINT')
  })
})

describe('a text file', { timeout: 60_000 }, () => {
  it.each(looks)('is refused by `%s` with a remedy', async (...args) => {
    writeFileSync(join(folder, 'letter.txt'), 'Dear Sir or Madam, '.repeat(500))
    const program = start(...args, '--store', 'letter.txt')
    expect(await program.code()).toBe(args[0] === 'doctor' ? 1 : 125)
    expect(`${program.said}${program.printed}`).toContain('is not a database')
  })
})
