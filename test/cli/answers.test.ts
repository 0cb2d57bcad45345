import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program, until } from '../../e2e/cli/program.ts'
import { withProgram } from '../../e2e/cli/setup.ts'
import { createLocks, type Locks, type Store } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { root } from '../house/installed.ts'

const place = withProgram()
let folder: string
let store: Store
let locks: Locks

beforeEach(() => {
  folder = place.folder
  store = sqliteStore(join(folder, 'storelock.db'))
  locks = createLocks({ store, label: 'the holder' })
})
afterEach(async () => {
  killAll()
  await locks.close()
  await store.close()
})

const start = (...args: readonly string[]): Program => new Program([process.execPath, place.main, ...args], { cwd: folder })

async function storelock(...args: readonly string[]) {
  const program = start(...args)
  return { code: await program.code(), printed: program.printed, said: program.said }
}

describe('ls', { timeout: 60_000 }, () => {
  it('says on stderr that nothing is held, and prints nothing', async () => {
    expect(await storelock('ls')).toEqual({ code: 0, printed: '', said: 'storelock: nobody holds, waits for or pins anything in ./storelock.db\n' })
    expect((await storelock('ls', 'jobs/')).said).toContain('whose name starts with jobs/')
    expect((await storelock('ls', '--all')).said).toContain('there are no locks in ./storelock.db')
    expect(await storelock('ls', '--json')).toEqual({ code: 0, printed: '[]\n', said: '' })
  })
})

describe.each(['revoke', 'expire', 'ask'])('%s', { timeout: 60_000 }, (command) => {
  it('says that a lock is free, and exits with 1', async () => {
    await (await locks.acquire('deploy')).release()
    expect(await storelock(command, 'deploy')).toEqual({ code: 1, printed: '', said: 'storelock: nobody holds deploy\n' })
  })

  it('says that a lock was never used, suggests keys with a similar spelling, and exits with 1', async () => {
    await locks.acquire('deploy')
    expect(await storelock(command, 'delpoy')).toMatchObject({
      code: 1,
      printed: '',
      said: 'storelock: nobody holds delpoy, and there was no such lock yet: is it deploy?\n',
    })
    expect((await storelock(command, 'something')).said).toBe('storelock: nobody holds something, and there was no such lock yet\n')
  })
})

describe('help', { timeout: 60_000 }, () => {
  it('of a command is the output of its --help', async () => {
    expect(await storelock('help', 'run')).toEqual(await storelock('run', '--help'))
    expect(await storelock('help')).toEqual(await storelock('--help'))
  })

  it('of an unknown command is an error', async () => {
    expect(await storelock('help', 'nosuch')).toMatchObject({ code: 125, printed: '', said: expect.stringContaining("unknown command 'nosuch'") })
  })
})

describe('run', { timeout: 60_000 }, () => {
  it('exits with 124 after a timeout, and says what it waited for and who holds it', async () => {
    await locks.acquire('job')
    expect(await storelock('run', 'job', '--timeout', '300ms', '--', 'true')).toMatchObject({
      code: 124,
      said: expect.stringMatching(/^storelock: "job" was not free within 300 ms: held by the holder, for .*s \(\d waiting\)\n$/),
    })
    expect((await storelock('run', 'job', '--timeout', '0', '--', 'true')).said).toMatch(
      /^storelock: "job" is held or waited for: held by the holder, for /,
    )
    expect((await storelock('ask', 'job', '--timeout', '100ms')).said).toMatch(
      /^storelock: "job" was not free within 100 ms: held by the holder, for /,
    )
  })

  it('reports each step with its time with --verbose', async () => {
    const lock = await locks.acquire('job')
    const program = start('run', 'job', '--verbose', '--', 'sh', '-c', 'exit 3')
    await program.shows(/(held by the holder)/)
    await lock.release()
    expect(await program.code()).toBe(3)
    const steps = program.said.split('\n').filter((line) => /^storelock: \d+\.\d{3}s /.test(line))
    expect(steps.map((line) => line.replace(/^storelock: \d+\.\d{3}s +/, '').replace(/\d+/g, '7'))).toEqual([
      'opened ./storelock.db',
      'asked for job',
      'has job, with token 7',
      'started sh as process 7',
      'the command ended with exit code 7',
      'released job',
    ])
    const times = steps.map((line) => Number(/\d+\.\d+/.exec(line)?.[0]))
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  it('shows with --progress who holds the lock, since when, and its own place in the queue', async () => {
    const lock = await locks.acquire('job')
    const [first, second] = [start('run', 'job', '--progress', '--', 'true'), start('run', 'job', '--progress', '--', 'true')]
    const lines = await Promise.all([first, second].map((program) => program.shows(/waiting for (job, .*)/)))
    for (const line of lines) expect(line).toMatch(/^job, place [12] of [12], held by the holder since \d\d:\d\d:\d\d, for .*s$/)
    await lock.release()
    expect(await Promise.all([first.code(), second.code()])).toEqual([0, 0])
  })

  it('rewrites the --progress line in place on a terminal', async () => {
    const lock = await locks.acquire('job')
    const program = new Program(['script', '-qec', `"${process.execPath}" "${place.main}" run job --progress -- true`, '/dev/null'], { cwd: folder })
    await until(() => program.printed.split('\r\u001b[Kstorelock: waiting for job').length > 2)
    await lock.release()
    expect(await program.code()).toBe(0)
    expect(program.printed.endsWith('\r\u001b[K')).toBe(true)
  })
})

/** Puts the program where `npx` would: without better-sqlite3 beside it. @returns its path */
function likeNpx(): string {
  const npx = join(folder, 'npx')
  cpSync(dirname(place.main), join(npx, 'dist', 'cli'), { recursive: true })
  writeFileSync(join(npx, 'package.json'), '{ "type": "module" }')
  return join(npx, 'dist', 'cli', 'start.cjs')
}

describe.skipIf(process.platform === 'win32')('a single file', { timeout: 60_000 }, () => {
  it('bundled from the program as docs/cli.md says needs nothing but a Node with SQLite', async () => {
    const [, command = ''] = /```sh\n(npx esbuild [^`]*?)\n\S/.exec(readFileSync(join(root, 'docs/cli.md'), 'utf8').replaceAll('\\\n', '')) ?? []
    const entry = join(root, 'node_modules/.bin/esbuild')
    const source = join(dirname(place.main), 'main.cjs')
    const line = command.replace('npx esbuild', `"${entry}"`).replace('node_modules/storelock/dist/cli/main.cjs', `"${source}" --log-level=error`)
    const bundling = new Program(['sh', '-c', line], { cwd: folder })
    expect([await bundling.code(), bundling.said]).toEqual([0, ''])
    mkdirSync(join(folder, 'node_modules'))
    // For a Node without SQLite.
    symlinkSync(join(root, 'node_modules', 'better-sqlite3'), join(folder, 'node_modules', 'better-sqlite3'))
    const env = { ...process.env, NODE_OPTIONS: '' }
    const program = new Program([process.execPath, 'storelock.cjs', 'run', 'job', '--store', 'new.db', '--', 'echo', 'ran'], { cwd: folder, env })
    expect([await program.code(), program.printed]).toEqual([0, 'ran\n'])
    const look = new Program([process.execPath, 'storelock.cjs', 'ls', '--store', 'new.db', '--all', '--json'], { cwd: folder, env })
    await look.code()
    expect(JSON.parse(look.printed)).toMatchObject([{ key: 'job' }])
  })
})

describe.skipIf(process.platform === 'win32')('npx', { timeout: 60_000 }, () => {
  const run = async (main: string) => {
    const env = { ...process.env, NODE_OPTIONS: '' }
    const program = new Program([process.execPath, main, 'run', 'job', '--store', 'new.db', '--', 'echo', 'ran'], { cwd: folder, env })
    return { code: await program.code(), printed: program.printed, said: program.said }
  }

  it('finds the better-sqlite3 of the working directory', async () => {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(root, 'node_modules', 'better-sqlite3'), join(folder, 'node_modules', 'better-sqlite3'))
    expect(await run(likeNpx())).toMatchObject({ code: 0, printed: 'ran\n' })
  })

  it.skipIf(process.getBuiltinModule?.('node:sqlite'))(
    'prints a command that works if there is no better-sqlite3 and Node has no SQLite',
    async () => {
      expect(await run(likeNpx())).toMatchObject({
        code: 125,
        said: expect.stringContaining('npx -p storelock -p better-sqlite3 storelock run'),
      })
    },
  )
})
