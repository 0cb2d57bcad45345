import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, beat, Client, handlerOf, request } from './world.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

const passes = 1_000
const living = 3_000

/** Polls, one look in each turn of the event loop, until the condition holds. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let count = 0; count < passes; count++) {
    if (await isSo()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('it never became so')
}

async function world(store: Store = memoryStore()) {
  const handler = await handlerOf(store, { limits: { sessions: 100_000 } })
  const [a, b] = [new Client(handler, 'a'), new Client(handler, 'b')]
  /** Whether a client other than the former owner can open the session. Ends the session again. */
  const isFree = async (session: string): Promise<boolean> => {
    const { outcomes } = await b.apply(beat(session), { type: 'end', session })
    return outcomes[0]?.type === 'beaten'
  }
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 300_000) await vi.advanceTimersByTimeAsync(300_000)
  }
  return { store, a, b, isFree, pass }
}

test('an ended session is forgotten, however many older sessions live on', async () => {
  const { store, a, isFree, pass } = await world(atEnd(sqliteStore(':memory:')))
  const old = Array.from({ length: living }, (_, n) => `old-${String(n).padStart(5, '0')}`)
  for (let from = 0; from < living; from += 500) await a.apply(...old.slice(from, from + 500).map((session) => beat(session, 86_400_000)))
  await a.apply(beat('young'))
  await store.apply([{ type: 'end', session: 'young' }])
  expect(await isFree('young')).toBe(false)
  await pass(900_000)
  await until(() => isFree('young'))
  // Live sessions still belong to their client.
  expect(await isFree(old[0] as string)).toBe(false)
  expect(await isFree(old.at(-1) as string)).toBe(false)
}, 60_000)

test('thousands of ended sessions are forgotten in one pass', async () => {
  const { a, isFree, pass } = await world()
  const gone = Array.from({ length: 10_000 }, (_, n) => `gone-${n}`)
  for (let from = 0; from < gone.length; from += 500)
    await a.apply(...gone.slice(from, from + 500).flatMap((session): Parameters<Client['apply']> => [beat(session), { type: 'end', session }]))
  await pass(900_000)
  await until(async () => (await isFree('gone-9999')) && (await isFree('gone-0')) && (await isFree('gone-5000')))
}, 60_000)

test('an ended session still belongs to its client while a record names it', async () => {
  const { store, a, b, isFree, pass } = await world()
  await a.take('s')
  await a.apply(beat('t'), request('t', 'k', 1))
  await store.apply([
    { type: 'end', session: 's' },
    { type: 'end', session: 't' },
  ] as Command[])
  await pass(1_800_000)
  expect([await isFree('s'), await isFree('t')]).toEqual([false, false])
  // The next grant of the lock removes the void hold and request.
  expect((await b.take('b')).outcomes[1]?.type).toBe('granted')
  await pass(600_000)
  await until(async () => (await isFree('s')) && (await isFree('t')))
}, 60_000)
