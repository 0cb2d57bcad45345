import Database from 'better-sqlite3'
import { describe, test } from 'vitest'
import { type LockServer, serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { type StorePlace, storeSuite } from '../../src/testing/index.ts'
import { filePlace } from './sqlite-places.ts'

/** The client key of all stores here, so that one store can continue another one's sessions. */
const client = 'the-client-key-of-the-suite'

/** A place with a lock server on a store, and HTTP stores as its clients. */
function servedPlace(served: () => Store, behind: Partial<StorePlace>): StorePlace {
  let serving: Promise<LockServer> | undefined
  let store: Store | undefined
  const start = (): Promise<LockServer> => {
    store = served()
    return serve(store)
  }
  return {
    observes: true,
    async open() {
      serving ??= start()
      return httpStore((await serving).url, { client })
    },
    ...(behind.corrupt && { corrupt: behind.corrupt }),
    ...(behind.raw && { raw: behind.raw }),
    async remove() {
      await (await serving)?.close()
      await store?.close()
      await behind.remove?.()
    },
  }
}

describe('F4: an HTTP store at a server of a memory store', () => {
  for (const { name, run } of storeSuite(() => servedPlace(memoryStore, {}))) test(name, run)
})

describe('F4: an HTTP store at a server of a SQLite store', () => {
  const place = () => {
    const behind = filePlace(Database, (path) => sqliteStore(path))
    return servedPlace(() => behind.open() as Store, behind)
  }
  for (const { name, run } of storeSuite(place)) test(name, run)
})
