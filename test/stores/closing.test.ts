import 'fake-indexeddb/auto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { indexedDBStore } from '../../src/stores/indexeddb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storelock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Makes two calls at once. @returns the order in which they end */
async function order(close: () => Promise<unknown>): Promise<string[]> {
  const ended: string[] = []
  await Promise.all(['first', 'second'].map((which) => close().then(() => ended.push(which))))
  return ended
}

/** Uses a store, its channel included, so that it has something to close. */
async function used(store: Store, other: Store): Promise<Store> {
  other.channel?.subscribe('topic', () => {})
  store.channel?.subscribe('own', () => {})
  store.channel?.publish('topic', { n: 1 })
  await store.read('k')
  return store
}

test('a second close() of a SQLite store waits for the first', async () => {
  const [store, other] = [sqliteStore(join(folder, 'locks.db')), sqliteStore(join(folder, 'locks.db'))]
  await used(store, other)
  expect(await order(() => store.close())).toEqual(['first', 'second'])
  await other.close()
})

test('a second close() of an IndexedDB store waits for the first', async () => {
  const [store, other] = [indexedDBStore('closing'), indexedDBStore('closing')]
  await used(store, other)
  expect(await order(() => store.close())).toEqual(['first', 'second'])
  await other.close()
})

test('a second close() of an HTTP store, or of a lock server, waits for the first', async () => {
  const server = await serve(memoryStore())
  const [store, other] = [httpStore(server.url), httpStore(server.url)]
  await used(store, other)
  expect(await order(() => store.close())).toEqual(['first', 'second'])
  await other.close()
  expect(await order(() => server.close())).toEqual(['first', 'second'])
})
