import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkPostgres } from '../../src/cli/doctor/postgres.ts'
import { withoutSecret } from '../../src/cli/place.ts'
import { identityOf } from '../../src/cli/store.ts'
import { type PostgresServer, startPgBouncer, startPostgres } from '../servers/postgres.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.remove())

const storelock = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args], { env: { ...process.env, STORELOCK_STORE: server.url } })

const states = async (url: string): Promise<Record<string, string>> =>
  Object.fromEntries((await checkPostgres(url)).map(({ check, state, found }) => [check, state === 'ok' ? state : `${state}: ${found}`]))

test('commands run, list and measure on a Postgres database', { timeout: 60_000 }, async () => {
  const { stdout } = await storelock('run', 'job', '--', 'sh', '-c', 'echo "$STORELOCK_KEY"')
  expect(stdout).toBe('job\n')
  expect(JSON.parse((await storelock('ls', '--json')).stdout)).toEqual([])
  expect(JSON.parse((await storelock('bench', '--json', '--time', '200ms', '--handoffs', '5')).stdout)).toMatchObject({ handoff: { count: 5 } })
})

test('the lock of a killed run is taken over only when its lease ends, since its command may still be running', { timeout: 60_000 }, async () => {
  const first = storelock('run', '--duration', '2s', 'job', '--', 'sh', '-c', 'kill -9 $PPID').catch(({ signal }) => signal)
  expect(await first).toBe('SIGKILL')
  expect((await storelock('run', 'job', '--', 'echo', 'mine')).stdout).toBe('mine\n')
})

test('a program that has nothing left to do but close its store exits normally', { timeout: 60_000 }, async () => {
  const script = `
    const { postgresStore } = await import(${JSON.stringify(new URL('../../src/stores/postgres.ts', import.meta.url).href)})
    const { createLocks } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
    const store = postgresStore(process.env.URL)
    const locks = createLocks({ store })
    await (await locks.acquire('job')).release()
    await locks.close()
    await store.close()
    console.log('closed')`
  for (let turn = 0; turn < 3; turn++) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      env: { ...process.env, URL: server.url },
    })
    expect(stdout).toBe('closed\n')
  }
})

test('the doctor finds nothing wrong with a sound server, and reports a pooler, a read-only server and one that is missing', {
  timeout: 60_000,
}, async () => {
  expect(await states(server.url)).toMatchObject({
    server: 'ok',
    version: 'ok',
    primary: 'ok',
    isolation: 'ok',
    table: 'ok',
    hints: 'ok',
    clock: 'ok',
  })
  const pooler = await startPgBouncer(server)
  expect(await states(pooler.url)).toMatchObject({ server: 'ok', hints: expect.stringContaining('note: a pooler stands before') })
  await pooler.remove()
  const options = encodeURIComponent('-c default_transaction_read_only=on -c default_transaction_isolation=serializable')
  expect(await states(`${server.url}?options=${options}`)).toMatchObject({
    primary: 'fault: this server takes no writes',
    isolation: 'fault: serializable',
  })
  const [refused] = await checkPostgres('postgres://me:hidden@127.0.0.1:1/app')
  expect(refused?.state).toBe('fault')
  expect(JSON.stringify(refused)).not.toContain('hidden')
})

test('addresses are shown without their passwords', () => {
  expect(identityOf('postgres://me:hidden@db:5432/app')).toBe('postgres://me:…@db:5432/app')
  expect(withoutSecret('mysql://me:hid:den@db/app?password=hidden&x=1')).toBe('mysql://me:…@db/app?password=…&x=1')
  expect(withoutSecret('postgres://me@db/app')).toBe('postgres://me@db/app')
  expect(withoutSecret('https://one:7420,https://me:hidden@two:7420')).toBe('https://one:7420,https://me:…@two:7420')
})
