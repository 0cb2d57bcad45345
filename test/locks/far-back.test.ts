import 'fake-indexeddb/auto'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createLocks } from '../../src/locks/create.ts'
import type { Command } from '../../src/protocol/index.ts'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { indexedDBStore } from '../../src/stores/indexeddb.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { withFolder } from '../stores/sqlite-folder.ts'

const duration = 3_000
/** The number of successive looks that are measured. */
const streak = 10

let folder: string
withFolder((made) => {
  folder = made
})

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const closing = <T extends { close(): Promise<unknown> }>(opened: T): T => {
  cleanUps.push(() => opened.close())
  return opened
}

/** Makes a function that opens a store for each session. */
const places: Record<string, () => Promise<() => Store>> = {
  async memory() {
    const store = closing(memoryStore())
    return () => store
  },
  async SQLite() {
    const file = join(folder, `${crypto.randomUUID()}.db`)
    return () => closing(sqliteStore(file))
  },
  async IndexedDB() {
    const name = crypto.randomUUID()
    return () => {
      // IndexedDB has no proofs of death in Node, and reports that. It makes no difference here: only hints are needed.
      const { onDegraded: _, ...store } = closing(indexedDBStore(name))
      return store
    }
  },
  async 'a lock server'() {
    const { url } = closing(await serve(closing(memoryStore())))
    return () => closing(httpStore(url))
  },
}

/** The commands that open a session and let it wait. */
const waiter = (session: string): Command[] => [
  { type: 'beat', session, client: 'c', lease: 3_600_000, opens: true },
  { type: 'request', key: 'k', session, client: 'c', number: 1, mode: 'exclusive', confirm: 3_000 },
]

/** Measures `streak` successive looks of the last waiter: the largest answer, in characters of JSON, and how many looks read the record. */
async function looksOfLast(open: () => Store, waiters: number): Promise<{ given: number; reads: number }> {
  const holder = closing(createLocks({ store: open(), duration }))
  await holder.acquire('k')
  const others = open()
  const asked = Array.from({ length: waiters }, (_, index) => waiter(`waiter-${String(index).padStart(4, '0')}`))
  for (let at = 0; at < waiters; at += 50) await others.apply(asked.slice(at, at + 50).flat())

  const store = open()
  const looks: { readonly reads: boolean; readonly given: number }[] = []
  const stop = new AbortController()
  return await new Promise((resolve, reject) => {
    const note = (reads: boolean, given: unknown): void => {
      looks.push({ reads, given: JSON.stringify(given).length })
      const last = looks.slice(-streak)
      // On a busy machine beats are late, and a waiter that misses one reads the record. Then the looks after that are measured.
      if (last.length < streak || (last.some((look) => look.reads) && looks.length < 100 * streak)) return
      stop.abort()
      resolve({ given: Math.max(...last.map((look) => look.given)), reads: last.filter((look) => look.reads).length })
    }
    const counting: Store = {
      ...store,
      async read(key, reader) {
        const view = await store.read(key, reader)
        note(true, view && { ...view, sessions: [...view.sessions] })
        return view
      },
      ...(store.rows && {
        async rows(sessions, key) {
          const rows = await store.rows?.(sessions, key)
          note(false, [...(rows ?? [])])
          return rows
        },
      }),
    }
    const last = closing(createLocks({ store: counting, duration, maxBackoff: 50 }))
    last.acquire('k', { signal: stop.signal }).catch((error) => stop.signal.aborted || reject(error))
  })
}

/** The number of waiters in stores where adding a thousand takes long. */
const many: Record<string, number> = { memory: 200, IndexedDB: 100, 'a lock server': 200 }

describe.each(Object.entries(places))('in %s', (where, place) => {
  const crowd = many[where] ?? 1_000

  test(`a look of a waiter far back is as small with ${crowd} waiters as with ten, and reads no record`, { timeout: 60_000 }, async () => {
    const few = await looksOfLast(await place(), 10)
    const more = await looksOfLast(await place(), crowd)
    expect([few.reads, more.reads]).toEqual([0, 0])
    // The digits of times and counters vary.
    expect(more.given).toBeLessThan(few.given + 50)
  })
})

test('a hint that arrives during a read of the record causes another read', { timeout: 60_000 }, async () => {
  const store = closing(memoryStore())
  await closing(createLocks({ store, duration })).acquire('k')
  for (const session of ['a', 'b', 'c']) await store.apply(waiter(session))
  const calls: ('rows' | 'read')[] = []
  let called = (): void => {}
  let gate: Promise<void> | undefined
  const noting: Store = {
    ...store,
    async read(key, reader) {
      calls.push('read')
      called()
      const view = await store.read(key, reader)
      await gate
      return view
    },
    async rows(sessions, key) {
      calls.push('rows')
      called()
      return await store.rows?.(sessions, key)
    },
  }
  const after = async (isWanted: () => boolean): Promise<void> => {
    while (!isWanted())
      await new Promise<void>((resolve) => {
        called = resolve
      })
  }
  const stop = new AbortController()
  const locks = closing(createLocks({ store: noting, duration, maxBackoff: 50 }))
  const wait = locks.acquire('k', { signal: stop.signal }).catch(() => {})
  await after(() => calls.at(-1) === 'rows' && calls.at(-2) === 'rows')

  let open = (): void => {}
  gate = new Promise((resolve) => {
    open = resolve
  })
  store.channel.publish(locks.session, { key: 'k' })
  await after(() => calls.at(-1) === 'read')
  store.channel.publish(locks.session, { key: 'k' })
  await new Promise((resolve) => setImmediate(resolve))
  const seen = calls.length
  open()
  await after(() => calls.length > seen)
  expect(calls[seen]).toBe('read')
  stop.abort()
  await wait
})
