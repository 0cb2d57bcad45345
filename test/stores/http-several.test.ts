import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createLocks, type LockEvent, type LocksOptions } from '../../src/index.ts'
import { serve } from '../../src/server/index.ts'
import type { LogReply, VerifyReply } from '../../src/server/wire.ts'
import { type HttpStoreOptions, httpStore } from '../../src/stores/http.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { atEnd, handOver } from '../server/world.ts'
import { type Gate, gateTo } from './gate.ts'

/** Starts lock servers on one file, each behind a gate. */
async function servers(count = 2): Promise<{ gates: Gate[]; urls: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
  atEnd({ close: () => rmSync(folder, { recursive: true }) })
  const gates: Gate[] = []
  for (let n = 0; n < count; n++) {
    const store = atEnd(sqliteStore(join(folder, 'locks.db')))
    const server = atEnd(await serve(store))
    gates.push(await gateTo(server.url))
  }
  return { gates, urls: gates.map(({ url }) => url) }
}

/** A client of several servers. */
function client(urls: readonly string[], options: Partial<LocksOptions> = {}, http: HttpStoreOptions = {}) {
  const store = atEnd(httpStore(urls, { timeout: 300, ...http }))
  return { store, locks: atEnd(createLocks({ store, duration: 10_000, ...options })) }
}

const verify = async (url: string, key: string, lockToken: string): Promise<VerifyReply> => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key, lockToken }) }
  return (await (await fetch(`${url}/v1/verify`, init)).json()) as VerifyReply
}

const kindsOf = async (url: string): Promise<string[]> =>
  ((await (await fetch(`${url}/v1/log?limit=100`)).json()) as LogReply).entries.map(({ kind }) => kind).reverse()

describe('a store at several lock servers', () => {
  test.each<[string, (gate: Gate) => void]>([
    ['has gone', (gate) => gate.close()],
    ['does not answer', (gate) => gate.hold()],
  ])('keeps its locks when one server %s, and the next one knows its lockTokens and sessions', async (_, harm) => {
    const { gates, urls } = await servers()
    const { store, locks } = client(urls, { duration: 2_000 })
    const lock = await locks.acquire('k')
    const lockToken = store.lockToken(lock)
    harm(gates[0] as Gate)
    // Twice the lock's duration.
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    expect(lock.isHeld()).toBe(true)
    expect(await verify(urls[1] as string, 'k', lockToken)).toMatchObject({ valid: true, token: lock.token })
    await lock.release()
    expect(await verify(urls[1] as string, 'k', lockToken)).toMatchObject({ valid: false, why: 'not-held' })
    await (await locks.acquire('k')).release()
  })

  test('takes a lock at the next server if the first ones have never answered', async () => {
    const { gates, urls } = await servers(3)
    gates[0]?.close()
    gates[1]?.hold()
    const { locks } = client(urls)
    expect((await locks.tryAcquire('k'))?.isHeld()).toBe(true)
  })

  test('continues a wait at the next server, in its place, and gets its hints from there', async () => {
    const { gates, urls } = await servers()
    const holder = client([urls[1] as string])
    const held = await holder.locks.acquire('k')
    const hints: (number | undefined)[] = []
    const observe = (event: LockEvent): unknown => event.type === 'hinted' && hints.push(event.token)
    const { locks } = client(urls, { duration: 60_000, maxBackoff: 60_000, observe })
    const waiting = locks.acquire('k')
    await expect.poll(async () => (await holder.locks.query()).pending?.length, { timeout: 5_000 }).toBe(1)
    gates[0]?.close()
    // The client's stream breaks, and it opens another one.
    await expect
      .poll(async () => (await (await fetch(`${urls[1]}/metrics`)).text()).match(/storelock_streams (\d+)/)?.[1], { timeout: 5_000 })
      .toBe('2')
    await held.release()
    await (await waiting).release()
    // A hint that is sent before the server knows the new stream's topics is lost, so the first ones do not count.
    await expect.poll(async () => hints.includes(await handOver(holder.locks, locks)), { timeout: 10_000 }).toBe(true)
  })

  test('leaves nothing behind if the first server carries out its request later, after the lock was released', async () => {
    const { gates, urls } = await servers()
    const [first, second] = gates as [Gate, Gate]
    // Long enough for a busy machine: the client must not leave the first server before it is held.
    const { locks } = client(urls, {}, { timeout: 2_000 })
    await (await locks.acquire('other')).release()
    first.hold()
    await (await locks.acquire('k')).release()
    expect(await kindsOf(second.url)).toEqual(['grant', 'release', 'grant', 'release'])
    first.open()
    await expect.poll(() => kindsOf(second.url), { timeout: 5_000 }).toEqual(['grant', 'release', 'grant', 'release', 'grant', 'withdrawal'])
    const others = client([second.url])
    expect(await others.locks.tryAcquire('k')).not.toBeNull()
  })

  test('makes no second request if the first server carries it out later, while the lock is held', async () => {
    const { gates, urls } = await servers()
    const [first, second] = gates as [Gate, Gate]
    const { locks, store } = client(urls, {}, { timeout: 2_000 })
    await (await locks.acquire('other')).release()
    first.hold()
    const lock = await locks.acquire('k')
    first.open()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(lock.isHeld()).toBe(true)
    expect(await verify(second.url, 'k', store.lockToken(lock))).toMatchObject({ valid: true, token: lock.token })
    expect((await kindsOf(second.url)).slice(2)).toEqual(['grant'])
    await lock.release()
  })

  test('loses its locks at their deadline if no server answers, and reports that', async () => {
    const { gates, urls } = await servers()
    const { store, locks } = client(urls, { duration: 1_000 })
    const lock = await locks.acquire('k')
    for (const gate of gates) gate.hold()
    // Timers of one process run in the order of their times, however late they are.
    const order: string[] = []
    const at = (ms: number, what: string): unknown => setTimeout(() => order.push(what), ms)
    at(500, 'half a duration')
    lock.signal.addEventListener('abort', () => order.push('lost'))
    await new Promise((resolve) => setTimeout(() => resolve(order.push('a little more than a duration')), 1_100))
    expect(order).toEqual(['half a duration', 'lost', 'a little more than a duration'])
    expect(lock.isHeld()).toBe(false)
    await expect(store.read('k')).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining('none of the 2 lock servers has answered'),
    })
    for (const gate of gates) gate.open()
  })

  test('accepts a refusal as an answer and does not ask the next server', async () => {
    const { gates, urls } = await servers()
    const { store } = client(urls)
    await expect(store.read('k'.repeat(5_000))).rejects.toMatchObject({ code: 'invalid' })
    await expect(store.list()).resolves.toEqual([])
    expect(gates.map(({ connections }) => connections > 0)).toEqual([true, false])
  })

  test.each([[[]], [['http://127.0.0.1:7420', 'localhost']]])('%j is not a list of server URLs', (urls) => {
    expect(() => httpStore(urls)).toThrow(TypeError)
  })
})
