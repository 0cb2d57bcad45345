import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type LockServer, serve } from 'storelock/server'
import { memoryStore } from 'storelock/stores/memory'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { root } from '../house/installed.ts'

const run = promisify(execFile)
const here = join(root, 'test/examples')
const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0
const posix = process.platform !== 'win32'

let folder: string
let server: LockServer

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  server = await serve(memoryStore())
})

afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

/** Runs a program this many times at once, each run counting in the same file. */
async function count(times: number, program: string, ...args: string[]): Promise<void> {
  const file = join(folder, 'number')
  writeFileSync(file, '0\n')
  await Promise.all(Array.from({ length: times }, () => run(program, [...args, server.url, 'number', file])))
  expect(readFileSync(file, 'utf8')).toBe(`${times}\n`)
}

test.runIf(posix && has('curl', '--version'))('six curl clients that count at once under the lock lose no count', async () => {
  await count(6, 'sh', join(here, 'four-requests.sh'))
})

test.runIf(posix && has('python3', '--version'))('six Python clients that count at once under the lock lose no count', async () => {
  await count(6, 'python3', join(here, 'four_requests.py'))
})

test.runIf(posix && has('go', 'version'))(
  'six Go clients that count at once under the lock lose no count',
  async () => {
    const program = join(folder, 'four_requests')
    const source = join(here, 'four_requests.go')
    const env = { ...process.env, GOFLAGS: '-mod=mod', GOCACHE: join(folder, 'cache') }
    expect((await run('gofmt', ['-l', source])).stdout).toBe('')
    await run('go', ['vet', source], { env })
    await run('go', ['build', '-o', program, source], { env })
    await count(6, program)
  },
  300_000,
)

test.runIf(posix && has('curl', '--version'))('a curl client that is killed while it waits leaves no place in the queue', async () => {
  const store = memoryStore()
  const other = await serve(store)
  const headers = { 'content-type': 'application/json', 'storelock-client': '0123456789abcdef' }
  const init = { method: 'POST', headers, body: '{"key":"k"}' }
  await (await fetch(`${other.url}/v1/acquire`, init)).json()
  const waits = execFile('curl', [
    '-sS',
    `${other.url}/v1/acquire`,
    '-H',
    'storelock-client: fedcba9876543210',
    '-H',
    'content-type: application/json',
    '-d',
    '{"key":"k"}',
  ])
  const waiters = async (): Promise<number | undefined> => (await store.read('k'))?.queue.length
  while ((await waiters()) !== 1) await new Promise((resolve) => setTimeout(resolve, 5))
  waits.kill('SIGKILL')
  while ((await waiters()) !== 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await other.close()
})
