import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import { type ServerLimits, serve } from '../../src/server/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, until } from './world.ts'

async function start(limits: ServerLimits, store = memoryStore()) {
  const server = atEnd(await serve(store, { limits }))
  const open = (): Socket => {
    const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1' })
    atEnd({ close: () => socket.destroy() })
    return socket.on('error', () => {})
  }
  const figures = async (): Promise<string> => await (await fetch(`${server.url}/metrics`)).text()
  return { ...server, open, figures, store }
}

/** Acquires many locks for one session, each with much metadata. */
async function fill(store: { apply(commands: readonly Command[]): Promise<unknown> }, count: number): Promise<void> {
  const session = { session: 's', client: 'c' }
  await store.apply([{ type: 'beat', ...session, lease: 600_000, opens: true }])
  const metadata = 'x'.repeat(16_000)
  for (let from = 0; from < count; from += 100) {
    const numbers = Array.from({ length: Math.min(100, count - from) }, (_, n) => from + n)
    await store.apply(
      numbers.map((number) => ({ type: 'request', key: `k${number}`, ...session, number, mode: 'exclusive', confirm: 500, metadata }) as const),
    )
  }
}

const get = 'GET /v1/locks HTTP/1.1\r\nhost: localhost\r\n\r\n'

test('requests from a client that does not read the answers cost no more than its credential’s budget', async () => {
  const { open, store, url, figures } = await start({ pending: 50, traffic: 3_000_000 })
  await fill(store, 100)
  const before = process.memoryUsage().rss
  const socket = open()
  socket.write(get.repeat(120))
  // Its answers wait to be read. Another connection from the same address can use the rest of the budget.
  const statuses = new Set<number>()
  for (let n = 0; n < 5; n++) statuses.add((await fetch(`${url}/healthz`)).status)
  expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
  const answers = (await until(socket, (text) => text.split('HTTP/1.1 ').length > 120)).match(/HTTP\/1\.1 \d+/g)
  expect(answers).toHaveLength(120)
  expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 200', 'HTTP/1.1 429']))
  expect(await figures()).toMatch(/storelock_limited_total\{limit="(pending|traffic)"\} [1-9]/)
}, 60_000)

test('connections from one address beyond the limit are dropped and counted', async () => {
  const { open, url, figures } = await start({ perAddress: 5 })
  const sockets = Array.from({ length: 10 }, open)
  const left = new Set(sockets)
  await new Promise<void>((resolve) => {
    for (const socket of sockets) socket.on('close', () => left.delete(socket) && left.size === 5 && resolve())
  })
  for (const socket of left) {
    socket.write(get)
    expect(await until(socket, () => true)).toMatch(/^HTTP\/1\.1 200/)
  }
  for (const socket of sockets) socket.destroy()
  let text = ''
  for (const end = performance.now() + 10_000; !text && performance.now() < end; ) text = await figures().catch(() => '')
  expect(text).toContain('storelock_connections_dropped_total')
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
}, 30_000)

test('a list blocks the event loop for only a small part of its time at once', async () => {
  const store = atEnd(sqliteStore(':memory:'))
  await fill(store, 2_000)
  const { url } = await start({}, store as never)
  const all = async (): Promise<void> => {
    for (let after: string | undefined, more = true; more; ) {
      const page = (await (await fetch(`${url}/v1/locks${after ? `?after=${after}` : ''}`)).json()) as { locks: { key: string }[]; more: boolean }
      after = page.locks.at(-1)?.key
      more = page.more
    }
  }
  // Measured as CPU time of this process, since other processes may use the processor meanwhile.
  const turns: number[] = []
  let last = process.cpuUsage()
  let on = true
  const turn = (): void => {
    const { user, system } = process.cpuUsage(last)
    last = process.cpuUsage()
    turns.push(user + system)
    if (on) setImmediate(turn)
  }
  turn()
  await all()
  on = false
  const total = turns.reduce((sum, one) => sum + one, 0)
  expect([turns.length > 20, Math.max(...turns) < total / 2]).toEqual([true, true])
}, 60_000)

test('a list is read a few records at a time', async () => {
  const store = atEnd(sqliteStore(':memory:'))
  await fill(store, 200)
  const sizes: number[] = []
  const page = async (...asked: Parameters<NonNullable<typeof store.page>>) => {
    const views = (await store.page?.(...asked)) ?? []
    sizes.push(views.length)
    return views
  }
  const list = () => Promise.reject(new Error('all at once'))
  const { url } = await start({}, { ...store, page, list } as never)
  let found = 0
  for (let after: string | undefined, more = true; more; ) {
    const shown = (await (await fetch(`${url}/v1/locks${after ? `?after=${after}` : ''}`)).json()) as { locks: { key: string }[]; more: boolean }
    found += shown.locks.length
    after = shown.locks.at(-1)?.key
    more = shown.more
  }
  expect(found).toBe(200)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(64)
})
