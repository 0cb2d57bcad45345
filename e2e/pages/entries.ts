import { createLocks, type Locks } from 'storelock'
import { httpStore } from 'storelock/stores/http'
import { type IndexedDBStore, indexedDBStore } from 'storelock/stores/indexeddb'
import { memoryStore } from 'storelock/stores/memory'
import { manualClock } from 'storelock/testing'
import { installWebLocks } from 'storelock/web-locks'
import { wrap } from 'storelock/worker'
import { runFact } from './suite.ts'
import type { KeeperSettings } from './workers.ts'

/** The package entries that give a page locks. */
export type Entry = 'memory' | 'indexeddb' | 'http' | 'dedicated worker' | 'shared worker' | 'web-locks' | 'testing'

/** In ms. No lease ends within a test. */
const patient: KeeperSettings = { duration: 300_000, maxSilence: 300_000 }
const { duration } = patient
const name = JSON.stringify(patient)
const keeper = new URL('./keeper.ts', import.meta.url)

const ways: Record<Entry, (server: string) => Locks> = {
  memory: () => createLocks({ store: memoryStore(), duration }),
  indexeddb() {
    store = indexedDBStore('entries')
    return createLocks({ store, duration })
  },
  http: (server) => createLocks({ store: httpStore(server), duration }),
  'dedicated worker': () => wrap(new Worker(keeper, { type: 'module', name })),
  'shared worker': () => wrap(new SharedWorker(keeper, { type: 'module', name }).port),
  'web-locks': () => {
    installWebLocks(createLocks({ store: indexedDBStore('web-locks'), duration }))
    return navigator.locks as Locks
  },
  testing() {
    const clock = manualClock()
    return createLocks({ store: memoryStore({ now: clock.now }), clock, duration })
  },
}

let locks: Locks
/** The store, if this page uses the entry `indexeddb`. */
let store: IndexedDBStore<IDBDatabase> | undefined
/** Release the locks that this page holds, oldest first. */
const releases: (() => Promise<void>)[] = []

/** Takes the lock `l` and keeps it. @returns whether the page got it: always true without `ifAvailable` */
const take = (ifAvailable: boolean): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const settled = locks.request('l', { ifAvailable }, async (lock) => {
      if (lock) {
        await new Promise<void>((end) => {
          releases.push(async () => {
            end()
            await settled
          })
          resolve(true)
        })
      } else resolve(false)
    })
    settled.catch(reject)
  })

/** How a promise of a removed frame ended: the error's code, or its name if there is no code, or that the promise never settles. */
const fateOf = (promise: Promise<unknown>): Promise<string> =>
  new Promise((resolve) => {
    setTimeout(() => resolve('hangs'), 3_000)
    // With such a promise, Firefox runs handlers, but not the continuation of `await`.
    promise.then(
      () => resolve('done'),
      ({ code, name }) => resolve(typeof code === 'string' ? code : name),
    )
  })

/** Makes locks in a frame, removes the frame, and makes each call on the locks. @returns how each call ended */
async function askInRemovedFrame([entry, server]: readonly [entry: Entry, server: string]): Promise<Record<string, string>> {
  const frame = document.createElement('iframe')
  frame.src = location.href
  document.body.append(frame)
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }))
  const { entries } = frame.contentWindow as typeof globalThis & Window
  const locks = entries.use(entry, server)
  const store = entries.store()
  const held = await locks.acquire('held')
  const reentrant = locks.reentrant('reentrant')
  frame.remove()
  const calls: Record<string, () => Promise<unknown>> = {
    acquire: () => locks.acquire('k'),
    tryAcquire: () => locks.tryAcquire('k'),
    request: () => locks.request('k', () => {}),
    query: () => locks.query(),
    whenFree: () => locks.whenFree('k'),
    expire: () => locks.expire('k'),
    revoke: () => locks.revoke('k'),
    pin: () => locks.pin('k', 'entity'),
    sweep: () => locks.sweep(),
    'acquire of a reentrant lock': () => reentrant.acquire(),
    'tryAcquire of a reentrant lock': () => reentrant.tryAcquire(),
    ...(store && { transaction: () => store.transaction(held, [], () => {}) }),
    renew: () => held.renew(),
    release: () => held.release(),
    close: () => locks.close(),
  }
  const fates = await Promise.all(Object.values(calls).map((call) => fateOf(call())))
  return Object.fromEntries(Object.keys(calls).map((name, index) => [name, fates[index] ?? '']))
}

/** What tests call in the page, as the global `entries`. */
const exposed = {
  /** Which features of a secure context this page has. */
  found: () => ({
    isSecureContext,
    locks: 'locks' in navigator,
    randomUUID: 'randomUUID' in crypto,
    serviceWorker: 'serviceWorker' in navigator,
  }),
  use(entry: Entry, server = ''): Locks {
    locks = ways[entry](server)
    return locks
  },
  store: () => store,
  take,
  release: (): Promise<void> | undefined => releases.shift()?.(),
  runFact,
  askInRemovedFrame,
}

declare global {
  var entries: typeof exposed
}

globalThis.entries = exposed
