import 'fake-indexeddb/auto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IDBFactory } from 'fake-indexeddb'
import type { Locks, LocksOptions } from 'storelock'
import { serve } from 'storelock/server'
import { httpStore } from 'storelock/stores/http'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { memoryStore } from 'storelock/stores/memory'
import { sqliteStore } from 'storelock/stores/sqlite'
import { expose, wrap } from 'storelock/worker'
import { afterEach } from 'vitest'

/** Clean-ups for the end of a test. The last one runs first. */
export const endings: (() => unknown)[] = []

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** Opens a new store of each kind. */
export const stores: Record<string, () => Promise<LocksOptions['store']>> = {
  memory: async () => memoryStore(),
  async sqlite() {
    const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
    endings.push(() => rmSync(folder, { recursive: true }))
    return sqliteStore(join(folder, 'a.db'))
  },
  async indexeddb() {
    globalThis.indexedDB = new IDBFactory()
    return indexedDBStore('locks')
  },
  async http() {
    const store = memoryStore()
    const server = await serve(store)
    endings.push(() => server.close())
    return httpStore(server.url)
  },
}

/** The places in which the code that requests locks can run. */
export const places: Record<string, (locks: Locks) => Locks> = {
  'its own context': (locks) => locks,
  'a worker'(locks) {
    const { port1, port2 } = new MessageChannel()
    const stop = expose(locks, port1)
    const wrapped = wrap(port2)
    endings.push(async () => {
      await wrapped.close()
      await stop()
      port1.close()
    })
    return wrapped
  },
}
