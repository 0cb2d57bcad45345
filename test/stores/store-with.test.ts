import { expect, test } from 'vitest'
import { locksFor } from '../../src/cli/run/take.ts'
import { type Store, storeWith } from '../../src/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'

/** A store whose methods are those of a class, and use private fields. */
class Counting implements Store {
  readonly #store = memoryStore()
  readonly #losers = new Set<(why: string) => void>()
  readonly spansMachines = true
  #reads = 0

  get channel() {
    return this.#store.channel
  }

  get reads() {
    return this.#reads
  }

  apply(commands: Parameters<Store['apply']>[0]) {
    return this.#store.apply(commands)
  }

  read(key: string) {
    this.#reads++
    return this.#store.read(key)
  }

  list() {
    return this.#store.list()
  }

  onLost(listener: (why: string) => void) {
    this.#losers.add(listener)
    return () => void this.#losers.delete(listener)
  }

  lose(why: string) {
    for (const listener of this.#losers) listener(why)
  }

  close() {
    return this.#store.close()
  }
}

test('a store with changes does what the store does, except for the changes', async () => {
  const store = new Counting()
  let closed = 0
  const changed: Store = storeWith(store, { channel: undefined, close: async () => void closed++ })
  await changed.read('k')
  await changed.close()
  const reasons: string[] = []
  const stop = changed.onLost?.((why) => reasons.push(why))
  store.lose('gone')
  stop?.()
  store.lose('again')
  expect({ reads: store.reads, closed, reasons }).toEqual({ reads: 1, closed: 1, reasons: ['gone'] })
  const { spansMachines, channel, beacon, rows } = changed
  expect({ spansMachines, channel, beacon, rows }).toEqual({ spansMachines: true, channel: undefined, beacon: undefined, rows: undefined })
  expect('rows' in changed).toBe(false)
})

test('a frozen store can be changed too', async () => {
  const store = Object.freeze(memoryStore())
  const changed = storeWith(store, { list: async () => [] })
  expect(await changed.list()).toEqual([])
  expect(await changed.read('k')).toBe(await store.read('k'))
})

test('the locks of a run are lost as soon as the store reports that it was lost', async () => {
  const store = new Counting()
  const locks = locksFor(store, '', 10_000, 'run')
  const lock = await locks.acquire('k')
  store.lose('the file was replaced')
  expect(lock.isHeld()).toBe(false)
  expect(lock.signal.aborted).toBe(true)
  await locks.close()
})
