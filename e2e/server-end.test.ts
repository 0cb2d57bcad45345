import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Program, until } from './cli/program.ts'
import { withProgram } from './cli/setup.ts'

// How `storelock serve` ends, and that SIGHUP does not end it.
const place = withProgram()

const start = (command: readonly string[]): Program => new Program(command, { cwd: place.folder })
const serve = (...args: readonly string[]): Program => start([process.execPath, place.main, 'serve', '--store', 'app.db', '--listen', '0', ...args])
const urlOf = (server: Program): Promise<string> => server.shows(/at (https?:\S+)/)

/** Sends SIGTERM. @returns the exit code, and how long the server took to end, in ms */
async function end(server: Program): Promise<{ code: number; took: number }> {
  const sent = performance.now()
  server.child.kill('SIGTERM')
  return { code: await server.code(), took: performance.now() - sent }
}

/** Holds the database's write lock until the test is over. */
function occupy(): void {
  const db = new Database(join(place.folder, 'app.db'))
  onTestFinished(() => void db.close())
  db.exec('BEGIN IMMEDIATE')
}

/** Whether a process handles SIGHUP yet, which it does before anything else. For SIGTERM Node itself has a handler. */
const catchesHup = ({ pid }: Program): boolean => {
  const [, caught = '0'] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return (BigInt(`0x${caught}`) & 1n) !== 0n
}

const body = { commands: [{ type: 'beat', session: 's', client: 'c', lease: 60_000, opens: true }] }
const headers = { 'content-type': 'application/json', 'storelock-client': 'a-client-key-of-the-test' }

describe('a server that is told to end', { timeout: 60_000 }, () => {
  test('does not wait for a TLS connection that never completes its handshake', async () => {
    const made = ['-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-subj', '/CN=localhost']
    expect(await start(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...made]).code()).toBe(0)
    const server = serve('--tls-key', 'key.pem', '--tls-cert', 'cert.pem')
    const socket = connect({ port: Number(new URL(await urlOf(server)).port), host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    await new Promise((resolve) => socket.on('error', () => {}).on('connect', resolve))
    const { code, took } = await end(server)
    // The server allows ten seconds for requests under way, but there are none.
    expect([code, took < 9_000]).toEqual([0, true])
  })

  test('after --grace reports which requests it gave up, if another process keeps the database busy', async () => {
    const server = serve('--grace', '500ms')
    const url = await urlOf(server)
    const pending = async (): Promise<string | undefined> =>
      /^storelock_requests_pending (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1]
    const idle = await pending()
    occupy()
    const asked = fetch(`${url}/v1/apply`, { method: 'POST', body: JSON.stringify(body), headers }).catch((error) => error)
    await until(async () => Number(await pending()) > Number(idle))
    const { code, took } = await end(server)
    expect([code, took < 9_000]).toEqual([0, true])
    expect(server.said).toContain('gave up after 500 ms: 1 request not answered')
    expect(await asked).toBeInstanceOf(Error)
  })

  test('ends even while the database is too busy for it to start', async () => {
    const first = serve()
    await urlOf(first)
    await end(first)
    occupy()
    const server = serve()
    await until(() => catchesHup(server))
    server.child.kill('SIGTERM')
    expect(await server.ending()).toBe('SIGTERM')
    expect(server.printed).toBe('')
  })
})

describe('SIGHUP', { timeout: 60_000 }, () => {
  const tokens = { old: 'token-of-old-0123456789abcdef', new: 'token-of-new-0123456789abcdef' }
  const clients = (...names: (keyof typeof tokens)[]): void =>
    writeFileSync(join(place.folder, 'clients.json'), JSON.stringify(names.map((name) => ({ name, token: tokens[name] }))), { mode: 0o600 })
  const statusOf = async (url: string, token: string): Promise<number> =>
    (await fetch(`${url}/v1/locks`, { headers: { authorization: `Bearer ${token}` } })).status

  test('makes a server read its clients again', async () => {
    clients('old')
    const server = serve('--clients', 'clients.json')
    const url = await urlOf(server)
    clients('new')
    server.child.kill('SIGHUP')
    await server.shows(/read (clients\.json) again/)
    expect([await statusOf(url, tokens.old), await statusOf(url, tokens.new)]).toEqual([401, 200])
  })

  test('never ends a server, whatever its files contain', async () => {
    clients('old')
    const server = serve('--clients', 'clients.json')
    const url = await urlOf(server)
    clients()
    server.child.kill('SIGHUP')
    await server.shows(/nothing was changed: (the list of clients is empty)/)
    rmSync(join(place.folder, 'clients.json'))
    server.child.kill('SIGHUP')
    await server.shows(/nothing was changed: (cannot read clients\.json)/)
    expect(await statusOf(url, tokens.old)).toBe(200)
    const bare = serve()
    await urlOf(bare)
    bare.child.kill('SIGHUP')
    await bare.shows(/(no files to read again)/)
    expect(bare.over).toBe(false)
  })
})

describe.skipIf(process.platform === 'win32')('the files of a server', { timeout: 60_000 }, () => {
  const modes = (): Record<string, string> =>
    Object.fromEntries(readdirSync(place.folder).map((name) => [name, (statSync(join(place.folder, name)).mode & 0o777).toString(8)]))

  test('are accessible to its user alone, whatever the umask', async () => {
    const server = start(['sh', '-c', `umask 0; exec "${process.execPath}" "${place.main}" serve --store app.db --listen 0`])
    const url = await urlOf(server)
    expect((await fetch(`${url}/v1/apply`, { method: 'POST', body: JSON.stringify(body), headers })).status).toBe(200)
    expect(modes()).toEqual({ 'app.db': '600', 'app.db-secret': '600', 'app.db-shm': '600', 'app.db-wal': '600' })
  })

  test('are restricted to its user if they were open to others', async () => {
    new Database(join(place.folder, 'app.db')).exec('PRAGMA journal_mode = WAL').close()
    chmodSync(join(place.folder, 'app.db'), 0o644)
    const server = serve()
    await urlOf(server)
    expect(server.said).toContain('app.db was readable for others')
    expect(modes()).toMatchObject({ 'app.db': '600', 'app.db-shm': '600', 'app.db-wal': '600' })
  })

  test('are not created if a start fails', async () => {
    const running = serve()
    const { port } = new URL(await urlOf(running))
    writeFileSync(join(place.folder, 'clients.json'), '[]', { mode: 0o600 })
    for (const name of ['key.pem', 'cert.pem']) writeFileSync(join(place.folder, name), 'no PEM')
    for (const [args, why] of [
      [['--listen', port], 'cannot listen at'],
      [['--listen', '0.0.0.0:0'], 'anybody could take locks'],
      [['--clients', 'clients.json', '--listen', '0'], 'the list of clients is empty'],
      [['--tls-key', 'key.pem', '--tls-cert', 'cert.pem', '--listen', '0'], 'cannot be used'],
    ] as const) {
      const failed = start([process.execPath, place.main, 'serve', '--store', 'new.db', ...args])
      expect(await failed.code()).toBe(125)
      expect([failed.said, existsSync(join(place.folder, 'new.db'))]).toEqual([expect.stringContaining(why), false])
    }
    expect(readdirSync(place.folder).filter((name) => name.startsWith('new.db'))).toEqual([])
  })
})
