import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Built, buildProgram } from '../../e2e/cli/build.ts'
import { killAll, Program } from '../../e2e/cli/program.ts'
import { makeProgram } from '../../src/cli/program.ts'
import { createLocks, type Locks, type Store } from '../../src/index.ts'
import { visible } from '../../src/server/visible.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

/** Texts that a terminal would obey: colours, a new title, a cleared screen by one character, a reversed line, and a line that looks like ours. */
const attacks = ['\u001b[31m', '\u001b]0;owned\u0007', '\u009b2J', '\u202e', '\u2066', '\nstorelock: all is well', '\r', '\u007f', '\b']
const hostile = (what: string): string => `${what}${attacks.join('.')}`
const key = hostile('key')

let built: Built
let folder: string
let store: Store
let locks: Locks
let server: Server
let url: string

beforeAll(async () => {
  built = await buildProgram()
  // A malicious server in place of a lock server.
  server = createServer((request, response) => {
    const isLog = request.url?.startsWith('/v1/log')
    const who = hostile('who')
    const entry = {
      id: 1,
      at: 0,
      kind: hostile('kind'),
      key,
      session: hostile('session'),
      token: 7,
      who,
      address: hostile('address'),
      why: hostile('why'),
    }
    response.writeHead(isLog ? 200 : 500, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isLog ? { entries: [entry] } : { error: { code: 'internal', message: hostile('answer') } }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}, 120_000)
afterAll(() => {
  built?.remove()
  server?.close()
  server?.closeAllConnections()
})

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  store = sqliteStore(join(folder, 'storelock.db'))
  locks = createLocks({ store, label: hostile('holder') })
  await locks.acquire(key, { metadata: { port: hostile('metadata') } })
  await locks.pin(key, hostile('pin'))
})
afterEach(async () => {
  killAll()
  await locks.close()
  await store.close()
  rmSync(folder, { recursive: true })
})

/** A session that waits for the lock and asks for its release. */
async function someoneWaits(): Promise<Locks> {
  const waiter = createLocks({ store, label: hostile('waiter') })
  waiter.acquire(key, { ask: { why: hostile('ask') } }).catch(() => {})
  while (!(await locks.query(key)).pending.length);
  return waiter
}

const start = (...args: readonly string[]): Program => new Program([process.execPath, built.main, ...args], { cwd: folder })

function assertHarmless(program: Program, ...shown: readonly string[]): void {
  const text = `${program.printed}${program.said}`
  expect(attacks.filter((attack) => text.includes(attack))).toEqual([])
  for (const each of shown) expect(text).toContain(visible(each))
}

interface Walk {
  readonly args: readonly string[]
  /** The texts of other sessions that it shows. */
  readonly shown: readonly string[]
  /** The program is ended once it has shown this. */
  readonly until?: RegExp
}

const walks: readonly Walk[] = [
  { args: ['run', key, '--label', hostile('mine'), '--verbose', '--', 'true'], shown: [key, hostile('holder')], until: /(waiting for)/ },
  { args: ['run', key, '--nonblock', '--verbose', '--', 'true'], shown: [key] },
  { args: ['run', key, '--timeout', '10ms', '--', 'true'], shown: [] },
  { args: ['hold', key, '--nonblock', '--verbose'], shown: [key] },
  { args: ['hold', hostile('mine')], shown: [hostile('mine')], until: /(held) mine/ },
  { args: ['lock', key, '--nonblock', '--verbose'], shown: [key] },
  { args: ['unlock', key], shown: [key] },
  { args: ['ls'], shown: [key, hostile('holder'), hostile('pin')] },
  { args: ['show', key], shown: [key, hostile('holder'), hostile('pin')] },
  { args: ['watch'], shown: [key, hostile('holder'), hostile('pin')], until: /(pinned) {2}pin/ },
  { args: ['ask', key, '--timeout', '10ms'], shown: [] },
  { args: ['ask', hostile('free')], shown: [hostile('free')] },
  { args: ['revoke', key], shown: [key, hostile('holder')] },
  { args: ['revoke', key, '--holder', hostile('session')], shown: [] },
  { args: ['expire', key], shown: [] },
  { args: ['expire', hostile('free')], shown: [] },
  { args: ['pin', key, hostile('me')], shown: [key, hostile('me')] },
  { args: ['unpin', key, hostile('pin')], shown: [key, hostile('pin')] },
  { args: ['unpin', key, hostile('nobody')], shown: [] },
  { args: ['sweep', hostile('prefix'), '--older-than', '0s'], shown: [] },
  { args: ['help', hostile('nosuch')], shown: [hostile('nosuch')] },
  { args: ['completion', hostile('shell')], shown: [hostile('shell')] },
  { args: ['completion', 'words', '--', 'show', ''], shown: [] },
  { args: ['man', hostile('nonsense')], shown: [] },
  { args: ['serve', '--listen', hostile('nowhere')], shown: [hostile('nowhere')] },
  { args: ['serve', '--print-config', '--listen', hostile('nowhere')], shown: [hostile('nowhere')] },
  { args: ['serve', '--store', hostile('file'), '--listen', '0'], shown: [hostile('file')], until: /(serving) / },
  { args: ['bench', '--store', hostile('no/such/folder/')], shown: [hostile('no/such/folder/')] },
  { args: ['demo', '--port', hostile('nowhere')], shown: [hostile('nowhere')] },
  { args: ['doctor'], shown: [] },
  { args: ['doctor', '--store', hostile('file')], shown: [hostile('file')] },
  { args: ['log', '--store', 'URL'], shown: [key, ...['kind', 'session', 'who', 'address', 'why'].map(hostile)] },
  ...[
    'run x -- true',
    'ls',
    'show x',
    'watch',
    'ask x',
    'revoke x',
    'expire x',
    'pin x y',
    'unpin x y',
    'sweep --older-than 1s',
    'bench',
    'doctor',
  ].map(
    (words): Walk => ({
      args: [...(words.split(' ').slice(0, 1) as [string]), '--store', 'URL', ...words.split(' ').slice(1)],
      shown: [hostile('answer')],
    }),
  ),
  { args: [hostile('nonsense')], shown: [hostile('nonsense')] },
  { args: ['ls', hostile('--nonsense')], shown: [hostile('--nonsense')] },
  { args: ['run', key, '--timeout', hostile('soon'), '--', 'true'], shown: [hostile('soon')] },
]

describe('text from other sessions never controls the terminal', { timeout: 60_000 }, () => {
  it('by any command: the list below has all commands', () => {
    const walked = new Set(walks.map(({ args: [command] }) => command))
    const missing = makeProgram()
      .commands.map((command) => command.name())
      .filter((name) => !walked.has(name))
    expect(missing).toEqual([])
  })

  it.each(walks.map((walk) => [visible(walk.args.join(' ')).slice(0, 60), walk] as const))('by `%s`', async (_, { args, shown, until }) => {
    const program = start(...args.map((word) => (word === 'URL' ? url : word)))
    if (until) await program.shows(until)
    program.child.kill(until ? 'SIGTERM' : 0)
    await program.ending()
    assertHarmless(program, ...shown)
  })

  it('by `show` with metadata and release requests', async () => {
    const waiter = await someoneWaits()
    const program = start('show', key)
    await program.ending()
    await waiter.close()
    assertHarmless(program, hostile('waiter'))
    expect(program.printed).toContain('metadata {"port":"metadata\\u001b[31m')
    expect(program.printed).toContain('asks {"why":"ask\\u001b[31m')
  })

  it('by the confirmation prompt of `revoke`', async () => {
    writeFileSync(join(folder, 'key'), key)
    const program = new Program(['script', '-qec', `"${process.execPath}" "${built.main}" revoke "$(cat key)"`, '/dev/null'], { cwd: folder })
    await program.shows(/(\[y\/N\] )/)
    program.child.stdin?.write('n\r')
    expect(await program.code()).toBe(1)
    // The terminal itself adds CR to line ends.
    expect(attacks.filter((attack) => attack !== '\r' && program.printed.includes(attack))).toEqual([])
    expect(program.printed).toContain(`take ${visible(key)} from ${visible(hostile('holder'))}?`)
  })

  it('by `run` whose lock another session asks for', async () => {
    const program = start('run', 'mine', '--', 'sleep', '20')
    while (!(await locks.query('mine')).held.length);
    await locks.acquire('mine', { ask: hostile('ask'), timeout: 100 }).catch(() => {})
    await program.shows(/(asks for) mine/)
    program.child.kill()
    await program.ending()
    assertHarmless(program, hostile('holder'), hostile('ask'))
  })

  it('by `doctor` that finds unreadable rows', async () => {
    const db = new Database(join(folder, 'storelock.db'))
    db.prepare(`INSERT INTO storelock_records VALUES (?, '{}')`).run(hostile('broken'))
    db.close()
    const program = start('doctor')
    await program.ending()
    assertHarmless(program, hostile('broken'))
  })

  it('and JSON output keeps it unchanged', async () => {
    const program = start('ls', '--json')
    await program.ending()
    const [state] = JSON.parse(program.printed)
    expect(state).toMatchObject({
      key,
      pins: [hostile('pin')],
      holders: [{ label: hostile('holder'), metadata: { port: hostile('metadata') } }],
    })
    assertHarmless(program)
  })
})

describe('visible text', () => {
  it.each([
    ['job', 'job'],
    ['müller/日本語/👩‍💻', 'müller/日本語/👩‍💻'],
    ['a\nb\tc', 'a\\nb\\tc'],
    ['\u001b[0m', '\\u001b[0m'],
    ['\u009b', '\\u009b'],
    ['\u202e\u200b\u2028', '\\u202e\\u200b\\u2028'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['\ud800', '\\ud800'],
  ])('of %j is %j', (text, shown) => {
    expect(visible(text)).toBe(shown)
  })
})
