// Uses names by the thousand, and prints by how many bytes the heap has grown: `heap.ts <kind of store> <folder>`, under `--expose-gc`.
import { setImmediate as turn } from 'node:timers/promises'
import { createLocks } from '../../src/locks/create.ts'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const [kind = '', folder = ''] = process.argv.slice(2)
const file = `${folder}/a.db`

/** A lock server keeps what it remembers in its store's database, and is in this process: its heap counts as well. */
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

/** Uses a name in two ways, those that come next, and has the store forget it. */
async function use(index: number): Promise<void> {
  const name = `name ${index}`
  for (const turn of [index, index + 1]) await ways[turn % ways.length]?.(name)
  await store.apply([{ type: 'sweep', key: name }])
}

/** @returns how many bytes the heap has after it */
async function useAll(from: number, to: number): Promise<number> {
  for (let index = from; index < to; index += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, more) => use(index + more)))
    await turn()
  }
  // What is to be said is said, and what is put off is done.
  await new Promise((resolve) => setTimeout(resolve, 100))
  for (let round = 0; round < 3; round++) {
    await turn()
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}

// What is compiled and kept once and for all is there after some use.
const before = await useAll(0, 2_000)
console.log((await useAll(2_000, 22_000)) - before)
process.exit()
