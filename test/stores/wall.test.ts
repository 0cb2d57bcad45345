import 'fake-indexeddb/auto'
import { expect, test } from 'vitest'
import type { Command } from '../../src/protocol/index.ts'
import type { Store } from '../../src/store.ts'
import { indexedDBStore } from '../../src/stores/indexeddb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const opens: Command = { type: 'beat', session: 's', client: 'c', lease: 1_000, opens: true }
const request: Command = { type: 'request', key: 'k', session: 's', client: 'c', number: 1, mode: 'exclusive', confirm: 500 }

test.each<[string, (now: () => number) => Store]>([
  ['memory', (now) => memoryStore({ now })],
  ['SQLite', (now) => sqliteStore(':memory:', { now })],
  ['IndexedDB', (now) => indexedDBStore('wall', { now })],
])('a `now` that returns an invalid time, or microseconds, is refused with invalid and damages no record: %s', async (_, open) => {
  let time = 1_700_000_000_000
  const store = open(() => time)
  try {
    await store.apply([opens])
    for (time of [Number.NaN, Infinity, -Infinity, undefined as never, 9e12, 1_000 * 1_700_000_000_000]) {
      await expect(store.apply([request])).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('`now`') })
    }
    expect(await store.read('k')).toBeUndefined()
    time = 1_700_000_000_000
    expect(await store.apply([request])).toMatchObject([{ type: 'granted', holder: { token: 1_700_000_000_000_000 } }])
  } finally {
    await store.close()
  }
})
