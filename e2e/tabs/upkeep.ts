import type { Clock } from '../../src/index.ts'
import type { Tab } from '../engines/engine.ts'

/** The resources that a page uses after some time. */
export interface Upkeep {
  /** The page's JavaScript heap after a garbage collection, in bytes. */
  readonly heap: number
  /** The origin's storage as the browser reports it, in bytes. */
  readonly database: number
  /** The number of rows in all our object stores. */
  readonly rows: number
  /** Listeners on objects that outlive a call. */
  readonly listeners: number
  /** Open database connections, channels and native locks. */
  readonly connections: number
}

/** What tests call in a page that is never reloaded, as the global `upkeep`. */
export interface PageOfADay {
  /** Lets an hour pass in which `names` lock names are used, numbered from `from`. */
  hour(names: number, from: number): Promise<void>
  measure(): Promise<Upkeep>
}

declare global {
  var upkeep: PageOfADay
}

/** Gives a page locks with a simulated clock. Runs in the page, so it uses only the page's globals. */
export function makePageOfADay(): void {
  const { createLocks, indexedDBStore, openDB } = globalThis.storelock
  let listeners = 0
  let connections = 0
  const count = (target: object, add: string, remove: string): void => {
    const methods = target as Record<string, (...args: unknown[]) => unknown>
    const known = new WeakMap<object, Set<unknown>>()
    const [plainAdd, plainRemove] = [methods[add], methods[remove]] as [(...args: unknown[]) => unknown, (...args: unknown[]) => unknown]
    methods[add] = function (this: object, ...args) {
      const own = known.get(this) ?? new Set()
      known.set(this, own)
      if (!own.has(args[1])) listeners += 1
      own.add(args[1])
      return plainAdd.apply(this, args)
    }
    methods[remove] = function (this: object, ...args) {
      if (known.get(this)?.delete(args[1])) listeners -= 1
      return plainRemove.apply(this, args)
    }
  }
  // Listeners on a transaction or a request disappear with it, so only these targets count.
  for (const target of [window, document]) count(target, 'addEventListener', 'removeEventListener')
  const open = indexedDB.open.bind(indexedDB)
  indexedDB.open = (...args) => {
    const request = open(...args)
    request.addEventListener('success', () => {
      connections += 1
    })
    return request
  }
  const close = IDBDatabase.prototype.close
  IDBDatabase.prototype.close = function () {
    connections -= 1
    close.call(this)
  }
  const Channel = BroadcastChannel
  globalThis.BroadcastChannel = class extends Channel {
    constructor(name: string) {
      super(name)
      connections += 1
    }
    override close(): void {
      connections -= 1
      super.close()
    }
  }

  let ahead = 0
  const timers = new Set<{ readonly due: number; readonly fire: () => void }>()
  const clock: Clock = {
    now: () => Date.now() + ahead,
    monotonic: () => performance.now() + ahead,
    random: () => Math.random(),
    after(ms, run) {
      const fire = (): void => {
        callOff()
        run()
      }
      const timer = { due: clock.monotonic() + ms, fire }
      const handle = setTimeout(fire, Math.min(ms, 2 ** 31 - 1))
      const callOff = (): void => {
        clearTimeout(handle)
        timers.delete(timer)
      }
      timers.add(timer)
      return callOff
    },
  }
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => {
        port1.close()
        resolve()
      }
      port2.postMessage(null)
    })
  const pass = async (ms: number): Promise<void> => {
    ahead += ms
    for (const { due, fire } of [...timers].sort((a, b) => a.due - b.due)) if (due <= clock.monotonic()) fire()
    await locks.query('held')
    await turn()
  }

  const store = indexedDBStore('locks', { now: clock.now })
  const duration = 600_000
  const locks = createLocks({ store, clock, duration })
  const held = locks.acquire('held')

  const ways: readonly ((name: string) => Promise<unknown>)[] = [
    async (name) => (await locks.acquire(name)).release(),
    (name) => locks.request(name, () => {}),
    async (name) => (await locks.tryAcquire(name))?.release(),
    async (name) => (await locks.reentrant(name).acquire()).release(),
    async (name) => (await locks.acquire(name, { signal: new AbortController().signal, timeout: 1_000, mode: 'shared' })).release(),
  ]
  const crowd = 50
  globalThis.upkeep = {
    async hour(names, from) {
      await held
      for (let at = from; at < from + names; at += crowd) {
        const some = Array.from({ length: Math.min(crowd, from + names - at) }, (_, index) => at + index)
        await Promise.all(some.map((index) => ways[index % ways.length]?.(`name ${index}`)))
      }
      // Two beats are a tenth of the duration apart.
      for (let passed = 0; passed < 3_600_000; passed += duration / 10) await pass(duration / 10)
      if (!(await held).isHeld()) throw new Error('the lock that is held all day was lost')
      await locks.query()
      await locks.sweep()
    },
    async measure() {
      for (let round = 0; round < 5; round++) {
        void globalThis.gc?.()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const heap = (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize
      const db = await openDB('locks')
      let rows = 0
      for (const name of db.objectStoreNames) rows += await db.count(name)
      db.close()
      const [{ usage = 0 }, { held = [], pending = [] }] = await Promise.all([navigator.storage.estimate(), navigator.locks.query()])
      return { heap, database: usage, rows, listeners, connections: connections + held.length + pending.length }
    },
  }
}

/** Uses a page for `hours` simulated hours with `names` lock names in all, and measures it after each hour. */
export async function useForHours(page: Tab, hours: number, names: number, hear = (_: Upkeep): void => {}): Promise<Upkeep[]> {
  await page.evaluate(makePageOfADay)
  const each = Math.ceil(names / hours)
  const found: Upkeep[] = []
  for (let hour = 0; hour < hours; hour++) {
    await page.evaluate(([each, from]) => upkeep.hour(each, from), [each, hour * each] as const)
    const now = await page.evaluate(() => upkeep.measure())
    found.push(now)
    hear(now)
  }
  return found
}
