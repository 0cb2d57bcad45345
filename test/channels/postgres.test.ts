import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Channel, Message } from '../../src/store.ts'
import { type PostgresStore, postgresStore } from '../../src/stores/postgres.ts'
import { lendPostgres } from '../servers/postgres.ts'
import { newSchema } from '../stores/postgres-place.ts'

let server: Awaited<ReturnType<typeof lendPostgres>>
let admin: pg.Pool
const opened: PostgresStore<pg.PoolClient>[] = []
const schema = newSchema()

beforeAll(async () => {
  server = await lendPostgres()
  admin = new pg.Pool({ connectionString: server.url, max: 1 })
})
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})
afterAll(async () => {
  await admin.end()
  await server.remove()
})

function open(): Channel {
  const store = postgresStore<pg.PoolClient>(server.url, { schema })
  opened.push(store)
  return store.channel as Channel
}

/** Subscribes, and collects the messages; resolves once messages arrive, which an empty one announces. */
function listen(channel: Channel, topic = 't'): Promise<Message[]> {
  const heard: Message[] = []
  return new Promise((resolve) => {
    channel.subscribe(topic, (message) => {
      if (Object.keys(message).length) heard.push(message)
      else resolve(heard)
    })
  })
}

const hears = (heard: Message[], expected: readonly Message[]) => vi.waitFor(() => expect(heard).toEqual(expected), { timeout: 10_000, interval: 5 })

test('carries the messages of each publisher in order and once, also back to the publisher', async () => {
  const [one, two, three] = [open(), open(), open()]
  const heard = await listen(two)
  const own = await listen(one)
  const sent = Array.from({ length: 300 }, (_, n) => n)
  for (const n of sent) {
    one.publish('t', { by: 'one', n })
    three.publish('t', { by: 'three', n })
  }
  for (const all of [heard, own]) {
    await vi.waitFor(() => expect(all).toHaveLength(600), { timeout: 10_000 })
    for (const by of ['one', 'three']) expect(all.filter((each) => each.by === by).map(({ n }) => n)).toEqual(sent)
  }
})

test('carries messages of up to 16,384 bytes, of any characters, and drops longer ones', async () => {
  const [one, two] = [open(), open()]
  const heard = await listen(two)
  const messageOf = (unit: string, more = 0): Message => {
    const rest = JSON.stringify('t').length + JSON.stringify({ text: '' }).length
    return { text: unit.repeat(Math.floor((16_384 - rest) / Buffer.byteLength(unit))) + 'x'.repeat(more) }
  }
  const sent = ['x', 'ü', '\u20ac', '\u{1f600}'].map((unit) => messageOf(unit))
  one.publish('t', messageOf('x', 1))
  for (const message of sent) one.publish('t', message)
  await hears(heard, sent)
})

test('keeps topics apart, whatever their names', async () => {
  const [one, two] = [open(), open()]
  const wrong = await listen(two)
  for (const topic of ['', '"; DROP', '\0', 'T', 'x'.repeat(1_000), '\ud800']) {
    const right = await listen(two, topic)
    one.publish(topic, { n: 1 })
    one.publish('t', { n: 2 })
    await hears(right, [{ n: 1 }])
    await hears(wrong, [{ n: 2 }])
    wrong.length = 0
  }
})

test('silently drops what is not a message, and carries the next', async () => {
  const [one, two] = [open(), open()]
  const heard = await listen(two)
  for (const wrong of [null, undefined, 'text', [1], { deep: {} }, { n: 1n }]) one.publish('t', wrong as unknown as Message)
  one.publish('t', { n: 1 })
  await hears(heard, [{ n: 1 }])
})

test('receives nothing after the last listener of a topic has unsubscribed, and receives again once there is another', async () => {
  const [one, two] = [open(), open()]
  const heard: Message[] = []
  const stops = [1, 2].map(() => two.subscribe('t', (message) => heard.push(message)))
  await vi.waitFor(() => expect(heard).toHaveLength(2))
  for (const stop of [...stops, ...stops]) stop()
  heard.length = 0
  const again: Message[] = []
  two.subscribe('t', (message) => again.push(message))
  await vi.waitFor(
    () => {
      one.publish('t', { n: 1 })
      expect(again).toContainEqual({ n: 1 })
    },
    { timeout: 10_000, interval: 50 },
  )
  expect(heard).toEqual([])
})

test('cannot be used by a user who cannot read the locks: its name is made with a secret that is stored beside them', async () => {
  await listen(open())
  const { rows } = await admin.query("SELECT query FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
  expect(rows.length).toBeGreaterThan(0)
  for (const { query } of rows) expect(query).toMatch(/^LISTEN storelock_[0-9a-f]{40}$/)
})
