import { once } from 'node:events'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { root } from '../test/house/installed.ts'
import { isAlive, Program } from './cli/program.ts'
import { deaf, grandchildOf, groupOf, works } from './cli/scripts.ts'
import { withProgram } from './cli/setup.ts'

// `storelock serve` as a process, and the other commands with its URL.
const place = withProgram()

const tokens = { ci: 'the-token-of-the-ci-0123456789', boss: 'the-token-of-the-boss-0123456789' }

/** A server, and the commands that clients run with it. */
interface Served {
  readonly server: Program
  readonly url: string
  /** Runs a command with the token of a client. */
  as(client: keyof typeof tokens, ...args: readonly string[]): Program
  /** Runs a shell script under the lock `ci/job`, as the client `ci`. */
  run(script: string, ...options: readonly string[]): Program
}

const start = (command: readonly string[], env: NodeJS.ProcessEnv = {}): Program =>
  new Program(command, { cwd: place.folder, env: { ...process.env, ...env } })

const storelock = (args: readonly string[], env?: NodeJS.ProcessEnv): Program => start([process.execPath, place.main, ...args], env)

/** @param listen a port, or 0 for a free one */
async function serve(listen = '0'): Promise<Served> {
  const clients = join(place.folder, 'clients.json')
  const list = [
    { name: 'ci', token: tokens.ci, prefixes: ['ci/'] },
    { name: 'boss', token: tokens.boss, admin: true },
  ]
  writeFileSync(clients, JSON.stringify(list), { mode: 0o600 })
  const server = storelock(['serve', '--store', 'app.db', '--clients', clients, '--listen', listen])
  const url = await server.shows(/^serving app\.db at (http:\/\/127\.0\.0\.1:\d+)$/m)
  const as: Served['as'] = (client, ...args) => storelock(args, { STORELOCK_STORE: url, STORELOCK_SERVER_TOKEN: tokens[client] })
  return { server, url, as, run: (script, ...options) => as('ci', 'run', 'ci/job', ...options, '--', 'sh', '-c', script) }
}

/** A proxy to a server that leaves the first request of a kind unanswered. */
async function behind(url: string, isSilenced: (body: string) => boolean): Promise<{ readonly url: string; readonly silenced: number }> {
  const way = { url: '', silenced: 0 }
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if (!way.silenced && isSilenced(`${body}`)) {
      way.silenced++
      return
    }
    const { method, headers } = request
    const passed = ask(new URL(request.url ?? '', url), { method, headers: { ...headers, host: new URL(url).host } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    passed.on('error', () => response.destroy())
    response.on('close', () => passed.destroy())
    passed.end(body)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  way.url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  return way
}

async function json(program: Program) {
  expect(await program.code()).toBe(0)
  return JSON.parse(program.printed)
}

/** The values that a program has printed as lines of JSON. */
const lines = (program: Program) =>
  program.printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('storelock serve', { timeout: 60_000 }, () => {
  test('keeps its secret in a file that other users cannot read', async () => {
    await serve()
    expect(statSync(join(place.folder, 'app.db-secret')).mode & 0o777).toBe(0o600)
  })

  test('does not start with a secret that other users can read', async () => {
    const { server } = await serve()
    server.child.kill()
    await server.code()
    chmodSync(join(place.folder, 'app.db-secret'), 0o644)
    const again = storelock(['serve', '--store', 'app.db'])
    expect(await again.code()).toBe(125)
    expect(again.said).toContain('chmod 600')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 at %s, though clients listen and hold locks', async (signal) => {
    const { server, run, as } = await serve()
    await groupOf(run(works))
    server.child.kill(signal)
    expect(await server.code()).toBe(0)
    const late = as('ci', 'ls')
    expect(await late.code()).toBe(125)
    expect(late.said).toContain('is the lock server running?')
  })

  test('prints its address with --json', async () => {
    const server = storelock(['serve', '--listen', '0', '--json'])
    const { url } = JSON.parse(await server.shows(/^(.*)\n/))
    const found = storelock(['ls', '--json', '--store', url])
    expect(await json(found)).toEqual([])
  })

  test('speaks TLS with --tls-key and --tls-cert, to clients that trust the certificate', async () => {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    const made = ['-nodes', '-keyout', 'key.pem', '-out', 'cert.pem']
    const openssl = start(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...made, ...subject])
    expect(await openssl.code()).toBe(0)
    const server = storelock(['serve', '--listen', '0', '--tls-key', 'key.pem', '--tls-cert', 'cert.pem'])
    const url = await server.shows(/(https:\S+)/)
    const [trusting, doubting] = [storelock(['ls', '--store', url], { NODE_EXTRA_CA_CERTS: 'cert.pem' }), storelock(['ls', '--store', url])]
    expect([await trusting.code(), await doubting.code()]).toEqual([0, 125])
    expect(doubting.said).toContain('name its authority by NODE_EXTRA_CA_CERTS')
  })

  test('tells a client without a token what is missing', async () => {
    const { url } = await serve()
    for (const args of [['ls'], ['log'], ['run', 'ci/job', '--', 'echo', 'never']]) {
      const program = storelock(args, { STORELOCK_STORE: url, STORELOCK_SERVER_TOKEN: undefined })
      expect(await program.code()).toBe(125)
      expect(program.said).toContain('into STORELOCK_SERVER_TOKEN')
      expect(program.printed).toBe('')
    }
  })
})

describe('with a lock server', { timeout: 60_000 }, () => {
  test('run passes its command the lockToken, which proves that it holds the lock', async () => {
    const { url, run } = await serve()
    const program = run('echo "lockToken $STORELOCK_LOCK_TOKEN "; read -r line')
    const lockToken = await program.shows(/lockToken (\S+) /)
    const verify = async () => {
      const headers = { authorization: `Bearer ${tokens.ci}`, 'content-type': 'application/json' }
      const response = await fetch(`${url}/v1/verify`, { method: 'POST', headers, body: JSON.stringify({ key: 'ci/job', lockToken }) })
      return await response.json()
    }
    expect(await verify()).toMatchObject({ valid: true, mode: 'exclusive' })
    program.child.stdin?.end('\n')
    expect(await program.code()).toBe(0)
    expect(await verify()).toMatchObject({ valid: false })
  })

  test('ls, show and watch show who holds a lock', async () => {
    const { run, as } = await serve()
    const watching = as('ci', 'watch', '--json', '--interval', '20ms')
    await groupOf(run(works, '--label', 'the holder'))
    expect(await json(as('ci', 'ls', '--json'))).toMatchObject([{ key: 'ci/job', holders: [{ label: 'the holder' }] }])
    expect(await json(as('ci', 'show', 'ci/job', '--json'))).toMatchObject({ holders: [{ label: 'the holder', mode: 'exclusive' }] })
    await watching.shows(/"event":"(held)"/)
    expect(lines(watching)).toMatchObject([{ event: 'held', key: 'ci/job', who: 'the holder' }])
  })

  test('the next run waits for its turn', async () => {
    const { run } = await serve()
    const holder = run('echo "group $$ "; read -r line', '--label', 'the holder')
    await groupOf(holder)
    expect(await run('true', '--nonblock').code()).toBe(1)
    const waiter = run('echo mine', '--verbose')
    expect(await waiter.shows(/held by (.*), for/)).toBe('the holder')
    holder.child.stdin?.end('\n')
    expect(await waiter.code()).toBe(0)
    expect(waiter.printed).toBe('mine\n')
  })

  test('a run keeps its grant although the server was too slow to confirm it', async () => {
    const { url, as } = await serve()
    const slow = await behind(url, (body) => body.includes('"type":"renew"'))
    const run = as('ci', 'run', 'ci/job', '--store', slow.url, '--', 'echo', 'mine')
    expect([await run.code(), run.printed]).toEqual([0, 'mine\n'])
    expect(slow.silenced).toBe(1)
  })

  test('the command learns of an ask', async () => {
    const { run, as } = await serve()
    const program = run(`trap 'exit 0' USR1; ${works}`, '--on-ask', 'USR1')
    await groupOf(program)
    expect(await as('ci', 'ask', 'ci/job', '--message', 'a newer one waits').code()).toBe(0)
    expect(await program.code()).toBe(0)
    expect(program.said).toContain('a newer one waits')
  })

  test('only an admin may revoke, and this ends the command and all processes that it has started', async () => {
    const { run, as } = await serve()
    const program = run(deaf, '--duration', '2s')
    const parts = [await groupOf(program), await grandchildOf(program)]
    const denied = as('ci', 'revoke', 'ci/job')
    expect(await denied.code()).toBe(125)
    expect(denied.said).toContain('needs a client that is admin')
    expect(await as('boss', 'revoke', 'ci/job').code()).toBe(0)
    expect(await program.code()).toBe(125)
    expect(parts.map(isAlive)).toEqual([false, false])
  })

  test('log prints all entries, or those of one kind or lock, oldest first', async () => {
    const { run, as } = await serve()
    expect(await run('true').code()).toBe(0)
    expect(await as('ci', 'run', 'other', '--', 'true').code()).toBe(125)
    const [all, one, kind, last] = [
      as('boss', 'log', '--json'),
      as('boss', 'log', 'ci/job', '--json'),
      as('boss', 'log', '--kind', 'refusal'),
      as('boss', 'log', '--limit', '1', '--json'),
    ]
    expect(await Promise.all([all, one, kind, last].map((program) => program.code()))).toEqual([0, 0, 0, 0])
    expect(lines(one)).toMatchObject([
      { kind: 'grant', key: 'ci/job', who: 'ci', address: '127.0.0.1' },
      { kind: 'release', key: 'ci/job' },
    ])
    expect(lines(all).map(({ id }) => id)).toEqual(
      lines(all)
        .map(({ id }) => id)
        .sort((a, b) => a - b),
    )
    expect(lines(last)).toEqual(lines(all).slice(-1))
    expect(kind.printed).toMatch(/^\S+ {2}refusal {2}other .*by ci {2}from 127\.0\.0\.1 {2}why .*\n$/)
  })

  test('a command survives a crash of the server that is back within the duration', async () => {
    const { server, url, run } = await serve()
    const program = run('echo "group $$ "; read -r line; echo "still $line"', '--duration', '20s')
    await groupOf(program)
    server.child.kill('SIGKILL')
    await server.code().catch(() => {})
    await serve(url.replace('http://', ''))
    expect(await run('true', '--nonblock').code()).toBe(1)
    program.child.stdin?.end('mine\n')
    expect(await program.code()).toBe(0)
    expect(program.printed).toContain('still mine')
    expect(await run('true', '--nonblock').code()).toBe(0)
  })

  test('a command ends if the server is silent for the duration', async () => {
    const { server, run } = await serve()
    const program = run(deaf, '--duration', '2s')
    const parts = [await groupOf(program), await grandchildOf(program)]
    server.child.kill('SIGSTOP')
    expect(await program.code()).toBe(125)
    expect(parts.map(isAlive)).toEqual([false, false])
    expect(program.said).toContain('lost "ci/job"')
  })

  test('no other run gets the lock while the command works, even if its own run is killed', async () => {
    const { run } = await serve()
    const program = run(deaf, '--duration', '2s')
    const group = await groupOf(program)
    const grandchild = await grandchildOf(program)
    program.child.kill('SIGKILL')
    const other = run(`kill -0 -- -${group} 2>/dev/null && echo alive || echo gone`)
    expect(await other.code()).toBe(0)
    expect(other.printed).toBe('gone\n')
    expect(isAlive(grandchild)).toBe(false)
  })
})

test('the commands in docs/cli.md work', { timeout: 60_000 }, async () => {
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
  const blocks = [...page.matchAll(/^```(?:ba)?sh\n(.*?)^```$/gms)].map(([, code = '']) => code)
  // The blocks about completion and about the single file have tests of their own.
  const [alone = '', steps = '', descriptor = '', , , serving = '', clients = ''] = blocks
  expect(blocks).toHaveLength(7)
  for (const name of ['backup.sh', 'deploy.sh', 'dump.sh', 'upload.sh'])
    writeFileSync(join(place.folder, name), `#!/bin/sh\necho "${name} has $STORELOCK_KEY"\n`, { mode: 0o755 })
  writeFileSync(join(place.folder, 'storelock'), `#!/bin/sh\nexec "${process.execPath}" "${place.main}" "$@"\n`, { mode: 0o755 })
  const shell = (script: string): Program => start(['sh', '-euc', script], { PATH: `${place.folder}:${process.env.PATH}` })

  const first = shell(alone)
  expect(await first.code()).toBe(0)
  expect(first.printed).toBe('backup.sh has backup\nbackup.sh has backup\n')
  const held = start(['bash', '-euc', `${steps}${descriptor}`], { PATH: `${place.folder}:${process.env.PATH}` })
  expect(await held.code()).toBe(0)
  expect(held.printed).toBe('dump.sh has \nupload.sh has \ndump.sh has \n')
  // The port that the page names may be taken here.
  const server = shell(serving.replace('storelock serve', 'exec storelock serve --listen 0'))
  const url = await server.shows(/^serving locks\.db at (\S+)$/m)
  const program = shell(clients.replace('http://127.0.0.1:7420', url))
  expect(await program.code()).toBe(0)
  expect(program.printed).toMatch(/^deploy\.sh has ci\/deploy\n\S+ {2}grant {2}ci\/deploy .*\n\S+ {2}release {2}ci\/deploy .*\n$/)
})
