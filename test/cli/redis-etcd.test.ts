import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkEtcd } from '../../src/cli/doctor/etcd.ts'
import { checkRedis } from '../../src/cli/doctor/redis.ts'
import { etcdAt, identityOf } from '../../src/cli/store.ts'
import { type EtcdServer, startEtcd } from '../servers/etcd.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
let redis: RedisServer
let etcd: EtcdServer

beforeAll(async () => {
  redis = await startRedis()
  etcd = await startEtcd()
})
afterAll(async () => {
  await redis.remove()
  await etcd.remove()
})

const addressOf = (kind: string): string => (kind === 'redis' ? redis.url : etcd.url.replace('http', 'etcd'))
const storelock = (store: string, ...args: string[]) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args], { env: { ...process.env, STORELOCK_STORE: store } })

describe.each(['redis', 'etcd'])('%s', (kind) => {
  test('commands run and list, and the doctor finds no fault', { timeout: 60_000 }, async () => {
    const store = addressOf(kind)
    const { stdout } = await storelock(store, 'run', 'job', '--', 'sh', '-c', 'echo "$STORELOCK_KEY"')
    expect(stdout).toBe('job\n')
    expect(JSON.parse((await storelock(store, 'ls', '--json')).stdout)).toEqual([])
    const findings = JSON.parse((await storelock(store, 'doctor', '--json')).stdout) as { state: string }[]
    expect(findings.filter(({ state }) => state === 'fault')).toEqual([])
    await expect(storelock(store, 'serve')).rejects.toMatchObject({ stderr: expect.stringContaining('needs a SQLite file') })
  })

  test('the lock of a killed run is taken over only when its lease ends, since its command may still be running', { timeout: 60_000 }, async () => {
    const store = addressOf(kind)
    const first = storelock(store, 'run', '--duration', '2s', 'killed', '--', 'sh', '-c', 'kill -9 $PPID').catch(({ signal }) => signal)
    expect(await first).toBe('SIGKILL')
    expect((await storelock(store, 'run', 'killed', '--', 'echo', 'mine')).stdout).toBe('mine\n')
  })
})

test('an etcd address names the members and a user', () => {
  expect(etcdAt('etcd://127.0.0.1:2379')).toEqual({ members: ['http://127.0.0.1:2379'] })
  expect(etcdAt('etcds://me:p%40ss@one:1,two:2')).toEqual({ members: ['https://one:1', 'https://two:2'], username: 'me', password: 'p@ss' })
})

test('the address that a command sees has no password', () => {
  for (const address of ['redis://:secret@host', 'redis://me:secret@host/1', 'etcd://me:secret@one:1,two:2']) {
    expect(identityOf(address)).not.toContain('secret')
  }
})

test('the doctor reports a Redis that is missing, is a replica, may drop keys, or keeps nothing on disk', async () => {
  const states = async (url: string) => Object.fromEntries((await checkRedis(url)).map(({ check, state, found }) => [check, `${state}: ${found}`]))
  expect(await states('redis://:secret@127.0.0.1:1')).toEqual({
    server: expect.stringMatching(/^fault: the Redis at 127\.0\.0\.1:1: .*ECONNREFUSED/),
  })
  expect(await states(redis.url)).toMatchObject({ master: 'ok: takes writes', disk: expect.stringMatching('note: keeps nothing') })
  const settings = { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru', replicaof: `127.0.0.1 ${redis.port}`, appendonly: 'yes' }
  const other = await startRedis(settings)
  expect(await states(other.url)).toMatchObject({
    master: expect.stringMatching('fault: this server is a slave'),
    memory: expect.stringMatching('fault: maxmemory-policy is allkeys-lru'),
    disk: expect.stringMatching('ok'),
  })
  await other.remove()
})

test('the doctor names a missing member of an etcd', async () => {
  const findings = await checkEtcd({ members: [etcd.url, 'http://127.0.0.1:4'] })
  expect(findings.filter(({ state }) => state === 'fault')).toMatchObject([{ check: 'member', found: expect.stringContaining('ECONNREFUSED') }])
})
