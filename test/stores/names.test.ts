import 'fake-indexeddb/auto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createLocks } from '../../src/index.ts'
import type { Command, Json } from '../../src/protocol/index.ts'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { indexedDBStore } from '../../src/stores/indexeddb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { expose, wrap } from '../../src/worker/index.ts'
import { settle, stateOf, World } from '../locks/world.ts'

/** Names of properties that every object has, or some objects have. */
const name = fc.constantFrom(...Object.getOwnPropertyNames(Object.prototype), 'prototype', 'length', 'then')

/** An object with an own member of this name, which an object literal could not make for `__proto__`. */
const withMember = (member: string): Json => JSON.parse(JSON.stringify({ in: 0 }).replace('in', member))

const beat = (session: string, label: string): Command => ({ type: 'beat', session, client: session, lease: 60_000, label, opens: true })
const request = (key: string, session: string, number: number, metadata?: Json): Command => ({
  ...{ type: 'request', key, session, client: session, number, mode: 'exclusive', confirm: 500, metadata },
})

const stores: Record<string, () => Promise<Store>> = {
  memory: async () => memoryStore(),
  async SQLite() {
    const folder = mkdtempSync(join(tmpdir(), 'storelock-names-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    return sqliteStore(join(folder, 'names.db'))
  },
  IndexedDB: async () => indexedDBStore('names'),
  async http() {
    const server = await serve(memoryStore())
    onTestFinished(async () => void (await server.close()))
    return httpStore(server.url)
  },
}

describe.each(Object.entries(stores))('at a store of %s', (_, open) => {
  test('a session, key, label, pin or metadata member may have the name of a property that every object has', async () => {
    const store = await open()
    onTestFinished(() => store.close())
    let number = 0
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 2, maxLength: 2 }), name, name, name, name, async (pair, key, label, entity, member) => {
        // Session ids are never reused, since an observing store would confuse the new session with the old one.
        const [a, b] = pair.map((each) => (number ? `${each}${number}` : each)) as [string, string]
        const metadata = withMember(member)
        const turn = ++number
        await store.apply([beat(a, label), beat(b, label), request(key, a, turn, metadata), request(key, b, turn)])
        const view = await store.read(key)
        expect([...(view?.sessions.keys() ?? [])].sort()).toEqual([a, b].sort())
        expect(view?.sessions.get(a)).toMatchObject({ id: a, label, lease: 60_000 })
        expect(JSON.stringify(view?.holders[0]?.metadata)).toBe(JSON.stringify(metadata))
        await store.apply([{ type: 'pin', key, entity }])
        expect((await store.read(key))?.pins).toEqual([entity])
        await store.apply([
          { type: 'unpin', key, entity },
          { type: 'end', session: a },
        ])
        expect((await store.read(key))?.sessions.has(a)).toBe(false)
        await store.apply([{ type: 'expire', key, session: b, evidence: { token: view?.token ?? 0, seq: undefined } }])
        expect((await store.list()).find((each) => each.key === key)?.holders).toMatchObject([{ session: b }])
        await store.apply([{ type: 'end', session: b }])
        await store.apply([{ type: 'sweep', key }])
      }),
      { numRuns: 25, examples: [[['constructor', '__proto__'], '__proto__', '__proto__', '__proto__', '__proto__']] },
    )
  })

  test.each([false, true])('locks, namespaces, labels and release requests may have such names too, through a worker: %s', async (byWorker) => {
    const store = await open()
    onTestFinished(() => store.close())
    await fc.assert(
      fc.asyncProperty(name, name, name, name, async (key, namespace, label, member) => {
        const own = createLocks({ store, namespace, label })
        const { port1, port2 } = new MessageChannel()
        const stop = byWorker ? expose(own, port1) : undefined
        const locks = byWorker ? wrap(port2) : own
        const metadata = withMember(member)
        const asks: Json[] = []
        const lock = await locks.acquire(key, { metadata, onReleaseRequested: (ask) => void asks.push(ask) })
        const { held } = await locks.query()
        expect(held).toMatchObject([{ name: key, label, token: lock.token }])
        expect(JSON.stringify(held[0]?.metadata)).toBe(JSON.stringify(metadata))
        expect(await own.tryAcquire(key)).toBeNull()
        const other = createLocks({ store, namespace, label })
        const waiting = other.acquire(key, { ask: metadata })
        await vi.waitFor(() => expect(asks.map((ask) => JSON.stringify(ask))).toEqual([JSON.stringify(metadata)]), 10_000)
        await lock.release()
        await (await waiting).release()
        for (const each of [other, locks]) await each.close()
        await stop?.()
        await own.close()
        port1.close()
      }),
      { numRuns: 5, examples: [['__proto__', '__proto__', '__proto__', '__proto__']] },
    )
  })
})

describe('a silent session with the name of a property that every object has', () => {
  test.each(['constructor', '__proto__', 'toString'])('loses its lock after its lease: %s', async (session) => {
    const world = new World()
    const lease = 1_000
    await world.store.apply([{ type: 'beat', session, client: 'c', lease, opens: true }, request('k', session, 1)])
    const lock = world.process().locks.acquire('k')
    await world.pass(2 * lease)
    await settle()
    expect(await stateOf(lock)).toBe('fulfilled')
  })

  test.each(['constructor', '__proto__'])('loses its lock at a lock server, too: %s', async (session) => {
    const store = memoryStore()
    const server = await serve(store)
    onTestFinished(async () => void (await server.close()))
    const [silent, other] = [httpStore(server.url), httpStore(server.url)]
    onTestFinished(() => Promise.all([silent.close(), other.close()]).then(() => {}))
    await silent.apply([{ type: 'beat', session, client: 'c', lease: 300, opens: true }, request('k', session, 1)])
    const locks = createLocks({ store: other })
    const lock = await locks.acquire('k', { timeout: 20_000 })
    expect(lock.isHeld()).toBe(true)
    await locks.close()
  })
})
