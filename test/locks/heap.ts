// Uses thousands of names, and prints how many bytes the heap has grown: `heap.ts <kind of store> <folder>`, under `--expose-gc`.
import { setImmediate as turn } from 'node:timers/promises'
import { createLocks } from '../../src/locks/create.ts'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const [kind = '', folder = ''] = process.argv.slice(2)
const file = `${folder}/a.db`

/** A lock server keeps its memory in its store's database, and runs in this process, so its heap counts as well. */
const kinds: Record<string, () => Promise<Store>> = {
  memory: async () => memoryStore(),
  sqlite: async () => sqliteStore(file),
  http: async () => httpStore((await serve(sqliteStore(file))).url),
}
const store = (await kinds[kind]?.()) as Store
const locks = createLocks({ store })

const ways: ((name: string) => Promise<unknown>)[] = [
  async (name) => (await locks.acquire(name)).release(),
  async (name) => locks.request(name, () => {}),
  async (name) => (await locks.tryAcquire(name))?.release(),
  async (name) => locks.whenFree(name),
  async (name) => locks.query(name),
]

/** Uses a name in the next two ways, then sweeps it from the store. */
async function use(index: number): Promise<void> {
  const name = `name ${index}`
  for (const turn of [index, index + 1]) await ways[turn % ways.length]?.(name)
  await store.apply([{ type: 'sweep', key: name }])
}

/** @returns the heap's size afterwards, in bytes */
async function useAll(from: number, to: number): Promise<number> {
  for (let index = from; index < to; index += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, more) => use(index + more)))
    await turn()
  }
  // Gives pending commands and deferred work time to finish.
  await new Promise((resolve) => setTimeout(resolve, 100))
  for (let round = 0; round < 3; round++) {
    await turn()
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}

// The first uses warm up the program, so that code and caches do not count.
const before = await useAll(0, 2_000)
console.log((await useAll(2_000, 22_000)) - before)
process.exit()
