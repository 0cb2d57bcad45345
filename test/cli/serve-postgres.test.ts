import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lendPostgres } from '../servers/postgres.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const env = { ...process.env, STORELOCK_SECRET: 'the secret of the servers of this test' }
const started: ChildProcess[] = []
let server: Awaited<ReturnType<typeof lendPostgres>>

beforeAll(async () => {
  server = await lendPostgres()
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  await server.remove()
})

const storelock = (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args], { env: { ...env, ...more } })

/** Starts `storelock serve`, and resolves when it serves. */
async function serve(): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', main, 'serve', '--listen', '0', '--json'], {
    env: { ...env, STORELOCK_STORE: server.url },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  started.push(child)
  const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
  return { child, url: JSON.parse(`${said}`).url }
}

test('a command under a lock of two servers goes on when the first one is stopped, and the log of the other has its lock', {
  timeout: 90_000,
}, async () => {
  const [first, second] = await Promise.all([serve(), serve()])
  const list = `${first.url},${second.url}`
  const args = ['run', '--store', list, '--duration', '3s', 'job', '--', 'sh', '-c', 'echo begun; sleep 6; echo done']
  const running = spawn(process.execPath, ['--import', 'tsx', main, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(running)
  let said = ''
  running.stdout.on('data', (data) => {
    said += data
  })
  await expect.poll(() => said, { timeout: 30_000 }).toBe('begun\n')
  const ended = once(first.child, 'exit')
  first.child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  const others = storelock(['run', '--store', second.url, '--nonblock', 'job', '--', 'true']).then(
    () => 0,
    ({ code }) => code,
  )
  expect(await others).not.toBe(0)
  expect(await once(running, 'exit')).toEqual([0, null])
  expect(said).toBe('begun\ndone\n')
  const { stdout } = await storelock(['log', '--store', list, '--json', 'job'])
  const kinds = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).kind)
  expect(kinds).toEqual(['grant', 'release'])
})

test('a server on Postgres without a secret says that it needs one, and shows no password', { timeout: 60_000 }, async () => {
  const store = server.url.replace('storelock@', 'storelock:hidden@')
  const failed = await storelock(['serve', '--store', store, '--listen', '0'], { STORELOCK_SECRET: undefined }).catch((error) => error)
  expect(failed).toMatchObject({ code: 125, stderr: expect.stringContaining('--secret-file') })
  for (const more of [[], ['--json']]) {
    const { stdout } = await storelock(['serve', '--store', store, '--print-config', ...more])
    expect(stdout).toContain('storelock:…@')
    expect(stdout).not.toContain('hidden@')
  }
})
