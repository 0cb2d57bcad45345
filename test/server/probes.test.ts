import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { LockError } from '../../src/index.ts'
import type { HandlerOptions } from '../../src/server/index.ts'
import { version } from '../../src/server/version.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, Client, handlerOf } from './world.ts'

async function world(store: Store = memoryStore(), options: HandlerOptions = {}) {
  const client = new Client(await handlerOf(store, options), 'a')
  const get = async (path: string, host = 'localhost') => {
    const response = await client.fetch(path, { headers: { host } })
    return [response.status, await response.json()]
  }
  return { client, get }
}

const clients = [{ name: 'boss', token: '0123456789abcdef0123456789abcdef', admin: true }]
const probes = ['/livez', '/readyz', '/version', '/healthz']

test('/livez, /readyz, /version and /healthz answer everyone, without a credential', async () => {
  const { get } = await world(memoryStore(), { clients })
  const answers = [...[{ status: 'ok' }, { status: 'ok' }, { version }], { status: 'ok' }]
  expect(await Promise.all(probes.map((path) => get(path)))).toEqual(answers.map((body) => [200, body]))
})

test('probes answer at any IP address, and at no foreign host name', async () => {
  for (const options of [{}, { hosts: ['locks.example'] }]) {
    const { get } = await world(memoryStore(), options)
    const statuses = async (host: string) => await Promise.all([...probes, '/v1/locks'].map(async (path) => (await get(path, host))[0]))
    for (const host of ['10.1.2.3:7420', '10.1.2.3', '[fd00::1]:7420', '[fd00::1]']) expect(await statuses(host)).toEqual([200, 200, 200, 200, 403])
    for (const host of ['evil.example', 'evil.example:7420', '10.1.2.3.evil.example', '1.2.3'])
      expect(await statuses(host)).toEqual(Array(5).fill(403))
  }
})

test('/readyz touches the store, and says why it is not ready', async () => {
  let why: string | undefined
  const store = memoryStore()
  const failing: Store = {
    ...store,
    apply: async (commands) => {
      if (why !== undefined) throw new LockError('store', why)
      return await store.apply(commands)
    },
  }
  const { get } = await world(failing)
  expect(await get('/readyz')).toEqual([200, { status: 'ok' }])
  why = 'the disk is full'
  expect(await get('/readyz')).toEqual([503, { error: { code: 'store', message: why } }])
  expect((await get('/livez'))[0]).toBe(200)
  why = undefined
  expect((await get('/readyz'))[0]).toBe(200)
})

test('simultaneous requests to /readyz share one call to the store', async () => {
  const store = memoryStore()
  let touched = 0
  const { get } = await world({
    ...store,
    apply: (commands) => {
      touched++
      return store.apply(commands)
    },
  })
  await Promise.all(Array.from({ length: 20 }, () => get('/readyz')))
  expect(touched).toBeLessThan(20)
  expect(touched).toBeGreaterThan(0)
})

test.each([
  ['the database was moved away', (_: Database.Database, file: string) => renameSync(file, `${file}-moved`), 'was moved or deleted'],
  ['nothing can be written', fail('storelock_journal'), 'disk is full'],
] as const)('/readyz is not ready while %s, even if the store still answers', async (_, spoil, why) => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const file = join(folder, 'locks.db')
  const { get } = await world(atEnd(sqliteStore(file)))
  const db = atEnd(new Database(file))
  spoil(db, file)
  expect(await get('/readyz')).toEqual([503, { error: { code: 'store', message: expect.stringContaining(why) } }])
})

test('/readyz is not ready while the log cannot be written, since no lock is granted then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const file = join(folder, 'locks.db')
  const { get, client } = await world(atEnd(sqliteStore(file)), { onError: () => {} })
  fail('storelock_log')(atEnd(new Database(file)))
  await client.take('s')
  expect(await get('/readyz')).toEqual([503, { error: { code: 'store', message: expect.stringContaining('no lock is granted') } }])
})

/** Makes a function that lets every insert into a table fail. */
function fail(table: string) {
  return (db: Database.Database): void =>
    void db.exec(`CREATE TRIGGER full BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`)
}
