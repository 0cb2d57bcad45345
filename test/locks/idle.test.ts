import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { sessionOf } from '../../src/locks/base.ts'
import { createLocks } from '../../src/locks/create.ts'
import type { Locks } from '../../src/locks/types.ts'
import { serve } from '../../src/server/index.ts'
import type { Store } from '../../src/store.ts'
import { httpStore } from '../../src/stores/http.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { heapAfterNames } from './names.ts'
import { endings, places, stores } from './places.ts'
import { settle, World } from './world.ts'

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `name ${index}`)

test('20,000 idle names grow the heap by less than 2 MB', { timeout: 120_000 }, async () => {
  expect(await heapAfterNames('memory')).toBeLessThan(2 * 2 ** 20)
})

test('a context that wakes, or starts a new session, reads no records of idle names', async () => {
  const world = new World()
  const { locks, link } = world.process()
  for (const name of names(50)) await (await locks.acquire(name)).release()
  const held = await locks.acquire('held')
  await world.pass(10)
  link.reads.length = 0
  const session = sessionOf(locks)
  session?.sleep(true)
  session?.sleep(false)
  await settle()
  expect(link.reads.length).toBeLessThanOrEqual(1)
  session?.end('for the test')
  await settle()
  expect(held.isHeld()).toBe(false)
  expect(link.reads.length).toBeLessThanOrEqual(2)
})

test('dirty and previous are right for names that were idle for long, and no request number is used twice', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const tokens = new Map<string, number>()
  for (const name of names(1_000)) {
    const lock = await a.locks.acquire(name)
    tokens.set(name, lock.token)
    await lock.release()
    if (name.endsWith('0')) await world.pass(10)
  }
  for (const name of ['name 3', 'name 999']) await (await b.locks.acquire(name)).release()
  for (const name of names(1_000)) {
    const lock = await a.locks.acquire(name)
    const taken = ['name 3', 'name 999'].includes(name)
    expect([name, lock.dirty, lock.previous === tokens.get(name)]).toEqual([name, taken, !taken])
    await lock.release()
  }
  const numbers = a.link.sent.flatMap((command) => (command.type === 'request' ? [`${command.key} ${command.number}`] : []))
  expect(new Set(numbers).size).toBe(numbers.length)
})

test('a re-entrant lock stays dirty while its name is idle', async () => {
  const world = new World()
  const [a, b] = [world.process(), world.process()]
  const lock = a.locks.reentrant('k')
  await (await b.locks.acquire('k')).release()
  await (await lock.acquire()).release()
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  expect(lock.dirty).toBe(true)
  lock.clearDirty()
  for (const name of names(300)) await (await a.locks.acquire(name)).release()
  await world.pass(10)
  expect(lock.dirty).toBe(false)
})

/** Collects garbage until the condition holds, for at most 100 rounds. */
async function collectUntil(isSo: () => boolean): Promise<void> {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 100 && !isSo(); round++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    collect()
  }
}

/** A store, and the store with its records. `pass` lets time pass between two looks. */
interface Filled {
  readonly store: Store
  readonly records: Store
  pass(): void
}

const fresh = async (kind: string): Promise<Filled> => {
  const store = await (stores[kind] as () => Promise<Store>)()
  return { store, records: store, pass() {} }
}

// fake-indexeddb writes slowly, so it gets fewer records.
const kinds: Record<string, { readonly many: number; readonly open: () => Promise<Filled> }> = {
  memory: { many: 20_000, open: () => fresh('memory') },
  indexeddb: { many: 2_000, open: () => fresh('indexeddb') },
  sqlite: {
    many: 20_000,
    async open() {
      const folder = mkdtempSync(join(tmpdir(), 'storelock-'))
      endings.push(() => rmSync(folder, { recursive: true }))
      let passed = 0
      const store = sqliteStore(join(folder, 'a.db'), { now: () => Date.now() + passed })
      return {
        store,
        records: store,
        pass() {
          passed += 2_000
        },
      }
    },
  },
  http: {
    many: 20_000,
    async open() {
      const records = memoryStore()
      const server = await serve(records)
      endings.push(() => server.close())
      return { store: httpStore(server.url), records, pass() {} }
    },
  },
}

for (const [kind, { many, open }] of Object.entries(kinds))
  test(`query takes at most twice as long with ${many} idle records: ${kind}`, { timeout: 120_000 }, async () => {
    const times: number[] = []
    const made: (Filled & { readonly locks: Locks })[] = []
    for (const count of [20, many]) {
      const filled = await open()
      const { store, records } = filled
      const locks = createLocks({ store })
      await records.apply([{ type: 'beat', session: 's', client: 'c', lease: 1_000_000, opens: true }])
      for (let from = 0; from < count; from += 250) {
        const keys = names(count).slice(from, from + 250)
        await records.apply(keys.map((key) => ({ type: 'request', key, session: 's', client: 'c', number: 1, mode: 'exclusive', confirm: 500 })))
        await records.apply(keys.map((key) => ({ type: 'revoke', key })))
        await settle()
      }
      for (const name of names(5)) await locks.acquire(`held ${name}`)
      made.push({ ...filled, locks })
    }
    // The first queries find recently released locks, which later queries skip.
    const first = async ({ locks, pass }: (typeof made)[number]): Promise<number> => {
      pass()
      const begun = performance.now()
      await locks.query()
      return performance.now() - begun
    }
    for (let round = 0; round < 10; round++) for (const each of made) await first(each)
    // A store with many records puts them apart between the queries. Waits until it is done.
    for (let quick = 0, tries = 0; quick < 10 && tries < 2_000; tries++) {
      const [few, all] = [await first(made[0] as (typeof made)[number]), await first(made[1] as (typeof made)[number])]
      quick = all < 2 * few ? quick + 1 : 0
    }
    for (const { locks } of made) {
      const rounds: number[] = []
      for (let round = 0; round < 41; round++) {
        const begun = performance.now()
        expect((await locks.query()).held).toHaveLength(5)
        rounds.push(performance.now() - begun)
      }
      times.push(rounds.sort((a, b) => a - b)[10] as number)
    }
    for (const { locks, store } of made) {
      await locks.close()
      await store.close()
    }
    expect((times[1] as number) / (times[0] as number)).toBeLessThan(2)
  })

test('20,000 unreferenced re-entrant locks grow the heap by less than 2 MB', { timeout: 120_000 }, async () => {
  const locks = createLocks({ store: memoryStore() })
  endings.push(() => locks.close())
  const make = async (begin: number, end: number): Promise<void> => {
    for (let index = begin; index < end; index++) {
      locks.reentrant(`name ${index}`).isHeld()
      if (index % 1_000 === 0) await settle()
    }
  }
  await make(0, 2_000)
  await collectUntil(() => false)
  const before = process.memoryUsage().heapUsed
  await make(2_000, 22_000)
  await collectUntil(() => process.memoryUsage().heapUsed - before < 2 * 2 ** 20)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(2 * 2 ** 20)
})

for (const [where, from] of Object.entries(places))
  test(`M8: a re-entrant lock whose object was dropped while it is held is found again: ${where}`, async () => {
    const locks = createLocks({ store: memoryStore() })
    endings.push(() => locks.close())
    const mine = from(locks)
    const gone: string[] = []
    const registry = new FinalizationRegistry<string>((name) => gone.push(name))
    const [held, idle] = await (async () => {
      const [a, b] = [mine.reentrant('held'), mine.reentrant('idle')]
      for (const lock of [a, b]) registry.register(lock, lock.name)
      await (await b.acquire()).release()
      return [(await a.acquire()).token, b.isHeld()]
    })()
    expect(idle).toBe(false)
    await collectUntil(() => gone.length > 0)
    expect(gone).toEqual(['idle'])
    const again = mine.reentrant('held')
    expect(again.isHeld()).toBe(true)
    const guard = await again.acquire()
    expect(guard.token).toBe(held)
    await guard.release()
    expect(again.isHeld()).toBe(true)
  })
