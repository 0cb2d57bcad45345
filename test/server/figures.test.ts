import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LockError } from '../../src/index.ts'
import { type HandlerOptions, serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, Client, handlerOf, request } from './world.ts'

async function world(store: Store = memoryStore(), options: HandlerOptions = {}) {
  const handler = await handlerOf(store, options)
  const a = new Client(handler, 'a', options.clients?.[0]?.token)
  const text = async () => await (await a.fetch('/metrics')).text()
  /** The value of a figure. The name includes its labels. */
  const figure = async (name: string): Promise<number> =>
    Number(
      (await text())
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    )
  return { handler, a, text, figure }
}

test('figures of the process and its event loop have the names that dashboards expect', async () => {
  const { figure } = await world()
  expect(await figure('process_resident_memory_bytes')).toBeGreaterThan(1_000_000)
  expect(await figure('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(await figure('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0)
})

test('refusals are counted by kind', async () => {
  const clients = [
    { name: 'app', token: '0123456789abcdef0123456789abcdef', admin: true, prefixes: ['k'] },
    { name: 'other', token: 'fedcba9876543210fedcba9876543210' },
  ]
  const { handler, a, figure } = await world(memoryStore(), { clients, hosts: ['localhost'] })
  const of = (kind: string): Promise<number> => figure(`storelock_refusals_total{kind="${kind}"}`)
  await a.take('s')
  await new Client(handler, 'b').fetch('/v1/locks')
  await a.fetch('/v1/locks', { headers: { host: 'evil.example' } })
  await a.fetch('/v1/locks', { headers: { origin: 'https://evil.example' } })
  await a.apply(request('s', 'other', 2))
  await new Client(handler, 'b', clients[1]?.token).apply(request('s', 'k', 2))
  await a.post('/v1/verify', { key: 'k', lockToken: 'sl1.x.y' })
  const kinds = ['credential', 'host', 'origin', 'right', 'session', 'lockToken']
  expect(await Promise.all(kinds.map(of))).toEqual(kinds.map(() => 1))
})

test('failures of the store are counted by code', async () => {
  const store = memoryStore()
  const { a, figure } = await world({ ...store, read: () => Promise.reject(new LockError('corrupt', 'the record is damaged')) })
  await a.fetch('/v1/locks/k')
  expect(await figure('storelock_store_errors_total{code="corrupt"}')).toBe(1)
})

test('counting the store’s failures does not change the calls that it gets', async () => {
  const store = memoryStore()
  const asked: unknown[][] = []
  const page: NonNullable<Store['page']> = async (...args) => {
    asked.push(args)
    return []
  }
  const { a } = await world({ ...store, page })
  asked.length = 0
  await a.fetch('/v1/locks?prefix=jobs/&busy=true')
  expect(asked).toEqual([['jobs/', undefined, expect.any(Number), { busy: true }]])
})

test('the length of the history and of the database are figures', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const { a, figure } = await world(atEnd(sqliteStore(join(folder, 'locks.db'))))
  await a.take('s')
  await a.take('s', 'other', 2)
  expect(await figure('storelock_log_entries')).toBe(2)
  for (const part of ['main', 'wal']) expect(await figure(`storelock_database_bytes{part="${part}"}`)).toBeGreaterThan(1_000)
})

test('connections beyond a limit are counted', async () => {
  const server = atEnd(await serve(memoryStore(), { limits: { perAddress: 2 } }))
  // Opens one connection, which stays open for later requests.
  const dropped = async (): Promise<string | undefined> =>
    /^storelock_connections_dropped_total (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]
  expect(await dropped()).toBe('0')
  const dial = () => connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => {})
  const second = dial()
  await once(second, 'connect')
  await once(dial().resume(), 'close')
  expect(await dropped()).toBe('1')
  second.destroy()
})
