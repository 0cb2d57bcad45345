import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { killAll, Program } from '../../e2e/cli/program.ts'
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

async function storelock(...args: readonly string[]): Promise<{ code: number; printed: string; said: string }> {
  const program = start(...args)
  const code = await program.code()
  return { code, printed: program.printed, said: program.said }
}

const onTerminal = (env: NodeJS.ProcessEnv, ...args: readonly string[]): Program =>
  new Program(['script', '-qec', `"${process.execPath}" "${place.main}" ${args.join(' ')}`, '/dev/null'], { cwd: folder, env })

const json = async (...args: readonly string[]) => JSON.parse((await storelock(...args, '--json')).printed)

describe('the program', { timeout: 60_000 }, () => {
  it('lists all its commands and exit codes', async () => {
    const { code, printed } = await storelock('--help')
    expect(code).toBe(0)
    for (const command of ['run', 'ls', 'show', 'watch', 'log', 'ask', 'revoke', 'expire', 'pin', 'unpin', 'sweep', 'serve', 'bench', 'doctor']) {
      expect(printed).toMatch(new RegExp(`^  ${command} `, 'm'))
    }
    expect(printed).toContain('124  the lock was not free in time')
  })

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(await storelock('--version')).toMatchObject({ code: 0, printed: `${version}\n` })
  })

  it.each([
    [['run', 'job', '--timeout', 'soon', '--', 'true'], 'such as 500ms, 10s or 5m'],
    [['run', 'job', '--nonblock', '--timeout', '1', '--', 'true'], 'cannot be used with option'],
    [['run', 'job', '--shared', '--steal-after-ask', '1', '--', 'true'], 'cannot be used with option'],
    [['run', 'job', '--shared', '--limit', '2', '--', 'true'], 'cannot be used with option'],
    [['run', 'job', '--limit', '0', '--', 'true'], 'a whole number from 1'],
    [['run', 'job', '--limit', '1001', '--', 'true'], 'limit is a whole number from 1 to 1000, not 1001'],
    [['run', 'job', '--duration', '1ms', '--', 'true'], 'from 100 to 86400000'],
    [['run', 'job', '--grace', '3s', '--', 'true'], 'at most a fifth of --duration'],
    [['run', 'job'], "missing required argument 'command'"],
    [['run', '', '--', 'true'], 'is empty'],
    [['sweep'], '--older-than'],
    [['ls', '--store', 'other.db'], 'name the store with --store or STORELOCK_STORE'],
    [['ls', '--store', 'ftp://x'], 'must be the path of a SQLite file'],
    [['log'], 'a lock server does'],
    [['serve', '--listen', 'nowhere'], 'must be a port'],
    [['serve', '--listen', '0.0.0.0:0'], 'give `clients` with tokens'],
    [['log', '--kind', 'nonsense'], 'Allowed choices are grant'],
    [['serve', '--tls-key', 'x'], 'tls.cert is missing'],
    [['nonsense'], 'unknown command'],
  ])('refuses %j with exit code 125 and says what is wrong', async (args, why) => {
    const { code, printed, said } = await storelock(...args)
    expect(code).toBe(125)
    expect(said).toContain(why)
    expect(printed).toBe('')
  })

  it('uses STORELOCK_STORE if there is no --store', async () => {
    const program = new Program([process.execPath, place.main, 'ls'], { cwd: folder, env: { ...process.env, STORELOCK_STORE: 'elsewhere.db' } })
    expect(await program.code()).toBe(125)
    expect(program.said).toContain('there is no elsewhere.db')
  })

  it('writes colours to a terminal unless NO_COLOR is set, and never to a pipe', async () => {
    await locks.acquire('job')
    const env = { ...process.env, TERM: 'xterm' }
    const [coloured, plain] = [onTerminal(env, 'ls'), onTerminal({ ...env, NO_COLOR: '1' }, 'ls')]
    await Promise.all([coloured.code(), plain.code()])
    expect(coloured.printed).toContain('\u001b[1mKEY')
    expect(plain.printed).toMatch(/^KEY/)
    expect((await storelock('ls')).printed).toMatch(/^KEY/)
  })
})

describe('ls and show', { timeout: 60_000 }, () => {
  it('show the locks that are held, waited for or pinned', async () => {
    const lock = await locks.acquire('job')
    await (await locks.acquire('used before')).release()
    expect((await storelock('ls')).printed).toMatch(/^KEY .*\njob +the holder +exclusive /)
    expect(await json('ls')).toMatchObject([{ key: 'job', holders: [{ token: lock.token }] }])
    expect((await json('ls', '--all')).map(({ key }: { key: string }) => key)).toEqual(['job', 'used before'])
    expect(await json('ls', 'other')).toEqual([])
    expect((await storelock('show', 'job')).printed).toMatch(/^job {2}held, last token \d+\n {2}held by the holder, exclusive, for /)
    expect((await storelock('show', 'nothing')).printed).toBe('nothing  free, never held\n')
  })

  it('accept keys of namespaces in the form in which they are listed', async () => {
    const others = createLocks({ store, namespace: 'team' })
    await others.acquire('job')
    const [{ key }] = await json('ls')
    expect(key).toBe('@team/job')
    expect(await json('show', key)).toMatchObject({ name: 'job', namespace: 'team', holders: [{}] })
    await others.close()
  })
})

describe('watch', { timeout: 60_000 }, () => {
  it('L5: prints a line for each change, and dies of the signal that interrupts it', async () => {
    const watching = start('watch', '--json', '--interval', '20ms')
    const lock = await locks.acquire('job')
    await watching.shows(/"event":"(held)"/)
    await lock.release()
    await watching.shows(/"event":"(released)"/)
    watching.child.kill('SIGINT')
    expect(await watching.ending()).toBe('SIGINT')
    expect(
      watching.printed
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).event),
    ).toEqual(['held', 'released'])
  })
})

describe('watch on a terminal', { timeout: 60_000 }, () => {
  it('shows a live table and the last events', async () => {
    const watching = onTerminal({ ...process.env, NO_COLOR: '1' }, 'watch', '--interval', '20ms')
    await watching.shows(/(no locks are held or waited for)/)
    const lock = await locks.acquire('job')
    await watching.shows(/KEY +HOLDER .*\r\njob +the holder +exclusive .*\r\n\r\n\d\d:\d\d:\d\d {2}(job) {2}held {2}the holder/)
    await lock.release()
    await watching.shows(/(released)/)
    watching.child.stdin?.write('\u0003')
    expect(await watching.code()).toBe(130)
  })
})

describe('an operator', { timeout: 60_000 }, () => {
  it('asks for a release, and sees that the lock was released', async () => {
    const lock = await locks.acquire('job', { onReleaseRequested: (ask) => void (ask === 'please' && lock.release()) })
    expect(await storelock('ask', 'job', '--message', 'please')).toMatchObject({ code: 0, printed: 'job was released\n' })
  })

  it('asks for a release in vain, and gets exit code 124', async () => {
    await locks.acquire('job')
    expect((await storelock('ask', 'job', '--timeout', '100ms')).code).toBe(124)
  })

  it('revokes a lock from one session or from all', async () => {
    const lock = await locks.acquire('job')
    expect((await storelock('revoke', 'job', '--holder', 'somebody')).code).toBe(1)
    expect(lock.isHeld()).toBe(true)
    expect((await storelock('revoke', 'job', '--holder', locks.session)).printed).toBe('job was taken from the holder\n')
    expect((await locks.query('job')).held).toEqual([])
    expect(await storelock('revoke', 'job')).toMatchObject({ code: 1, said: 'storelock: nobody holds job\n' })
  })

  it('has to confirm a revocation on a terminal', async () => {
    const lock = await locks.acquire('job')
    const answer = async (typed: string): Promise<number> => {
      const program = onTerminal(process.env, 'revoke', 'job')
      await program.shows(/(take job from the holder\? \[y\/N\] )/)
      program.child.stdin?.write(typed)
      return await program.code()
    }
    expect([await answer('n\r'), await answer('\u0003'), lock.isHeld()]).toEqual([1, 1, true])
    expect(await answer('y\r')).toBe(0)
    expect((await locks.query('job')).held).toEqual([])
  })

  it('cannot expire a live holder, and gets exit code 1', async () => {
    await locks.acquire('job')
    expect(await storelock('expire', 'job')).toMatchObject({ code: 1, said: expect.stringContaining('has a live holder') })
    expect(await storelock('expire', 'nothing')).toMatchObject({ code: 1, said: expect.stringContaining('nobody holds') })
  })

  it('expires a holder that has been silent for its lease', async () => {
    const [session, client] = ['silent', 'nobody']
    await store.apply([
      { type: 'beat', session, client, lease: 300, opens: true },
      { type: 'request', key: 'job', session, client, number: 1, mode: 'exclusive', confirm: 500 },
    ])
    expect(await storelock('expire', 'job')).toMatchObject({ code: 0 })
    expect((await locks.query('job')).held).toEqual([])
  })

  it('pins and unpins', async () => {
    expect((await storelock('pin', 'job', 'ticket 7')).code).toBe(0)
    expect(await json('show', 'job')).toMatchObject({ pins: ['ticket 7'] })
    expect((await storelock('unpin', 'job', 'ticket 7')).code).toBe(0)
    expect((await storelock('unpin', 'job', 'ticket 7')).code).toBe(1)
  })

  it('sweeps only locks that have been unused for at least the given time', async () => {
    await (await locks.acquire('idle')).release()
    await locks.acquire('held')
    expect(await json('sweep', '--older-than', '1h')).toEqual({ swept: [] })
    expect(await json('sweep', '--older-than', '0s')).toEqual({ swept: ['idle'] })
    expect((await store.list()).map(({ key }) => key)).toEqual(['held'])
  })
})

describe('serve', { timeout: 60_000 }, () => {
  it('takes no secrets from a file that other users can read', async () => {
    const clients = join(folder, 'clients.json')
    writeFileSync(clients, '[{ "name": "ci", "token": "0123456789abcdef0123456789abcdef" }]')
    chmodSync(clients, 0o644)
    expect(await storelock('serve', '--clients', clients)).toMatchObject({ code: 125, said: expect.stringContaining(`chmod 600 ${clients}`) })
  })

  it.each([
    ['{}', 'expected array'],
    ['[{', 'expected array'],
    ['[{ "name": "ci", "tokn": "x" }]', '"tokn"'],
    ['[{ "name": "ci", "token": "short" }]', 'of client ci has at most 25 bits'],
  ])('says what is wrong with %s as its list of clients', async (text, why) => {
    writeFileSync(join(folder, 'clients.json'), text, { mode: 0o600 })
    expect(await storelock('serve', '--clients', 'clients.json')).toMatchObject({ code: 125, said: expect.stringContaining(why) })
  })
})

describe('bench and doctor', { timeout: 60_000 }, () => {
  it('measure, and leave nothing behind', async () => {
    const figures = await json('bench', '--time', '50ms', '--handoffs', '3')
    expect(figures).toMatchObject({ acquire: { p50: expect.any(Number) }, handoff: { count: 3 } })
    expect(await store.list()).toEqual([])
  })

  it('find no fault with a store in use', async () => {
    await locks.acquire('job')
    const { code, printed } = await storelock('doctor')
    expect(printed).not.toMatch(/^fault/m)
    expect(code).toBe(0)
  })

  it('exit with 1 if something is wrong', async () => {
    const db = new Database(join(folder, 'storelock.db'))
    db.exec(`INSERT INTO storelock_records VALUES ('broken', '{}')`)
    db.close()
    expect(await storelock('doctor')).toMatchObject({ code: 1, printed: expect.stringMatching(/^fault +rows/m) })
    expect((await storelock('doctor', '--store', 'missing.db')).code).toBe(1)
  })
})
