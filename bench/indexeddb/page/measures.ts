import { createLocks } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { webLocks as managerOf } from 'storelock/web-locks'
import { alternate, type Side } from '../../rounds.ts'
import { peer, type TabLock } from './peers.ts'

/** What `acquire.ts` calls in the page. `progress` is a function that it provides. */
declare global {
  var measures: { acquireRelease: typeof acquireRelease; linger: typeof linger; request: typeof request; fencedWrite: typeof fencedWrite }
  var progress: (done: number) => void
}
globalThis.measures = { acquireRelease, linger, request, fencedWrite }

const requests = (locks: LockManager, iterations: number): Side => ({
  iterations,
  async run(iterations) {
    for (let i = 0; i < iterations; i++) await locks.request('job', async () => {})
  },
})

const webLocks = requests(navigator.locks, 60)

async function acquireRelease() {
  const store = indexedDBStore('bench')
  const locks = createLocks({ store })
  const held = await locks.acquire('job')
  const values = [await store.read('job')]
  await held.release()
  values.push(await store.read('job'))
  const db = await open('bare')

  const twoBare = (explicit: boolean): Side['run'] => {
    return async (iterations) => {
      for (let i = 0; i < iterations; i++) for (const value of values) await readModifyWrite(db, { ...value, token: i }, explicit)
    }
  }
  const measured = await alternate(
    {
      ours: {
        iterations: 20,
        async run(iterations) {
          for (let i = 0; i < iterations; i++) {
            const lock = await locks.acquire('job')
            await lock.release()
          }
        },
      },
      floor: {
        iterations: 20,
        async run(iterations) {
          for (let i = 0; i < iterations; i++) {
            await rowByRow(db, ['rows', 'others'], ['rows', 'fence'], { ...values[0], token: i })
            await rowByRow(db, ['rows'], ['rows'], { ...values[1], token: i })
          }
        },
      },
      bare: { iterations: 20, run: twoBare(false) },
      committed: { iterations: 20, run: twoBare(true) },
      webLocks,
      polyfill: { iterations: 5, run: (iterations) => acquireAndRelease(peer('polyfill'), iterations) },
      idbMutex: { iterations: 10, run: (iterations) => acquireAndRelease(peer('idbMutex'), iterations) },
      tabsLock: { iterations: 1, run: (iterations) => acquireAndRelease(peer('tabsLock'), iterations) },
    },
    100,
    globalThis.progress,
  )
  await locks.close()
  await store.close()
  db.close()
  return measured
}

async function linger() {
  const store = indexedDBStore('bench')
  const locks = createLocks({ store, linger: 10_000 })
  await locks.request('job', async () => {})
  const ours: Side = {
    iterations: 2_000,
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await locks.request('job', async () => {})
    },
  }
  const measured = await alternate({ ours, webLocks }, 100, globalThis.progress)
  await locks.close()
  await store.close()
  return measured
}

/** The same calls on the browser's lock manager, and on ours, which the polyfill puts in its place. */
async function request() {
  const stores = [indexedDBStore('requests'), indexedDBStore('lingering requests')] as const
  const [plain, lingering] = [createLocks({ store: stores[0] }), createLocks({ store: stores[1], linger: 10_000 })]
  const sides = { ours: requests(managerOf(plain), 20), lingering: requests(managerOf(lingering), 2_000), webLocks }
  const measured = await alternate(sides, 100, globalThis.progress)
  for (const each of [plain, lingering, ...stores]) await each.close()
  return measured
}

async function acquireAndRelease(lock: TabLock, iterations: number): Promise<void> {
  for (let i = 0; i < iterations; i++) {
    const release = await lock.acquire()
    await release()
  }
}

async function fencedWrite() {
  const db = await open('app')
  const store = indexedDBStore(db)
  const locks = createLocks({ store })
  const lock = await locks.acquire('job')
  let value = 0
  const write = (tx: IDBTransaction): void => {
    tx.objectStore('rows').put(++value, 'row')
  }
  const bare = (explicit: boolean): Side => ({
    iterations: 30,
    async run(iterations) {
      for (let i = 0; i < iterations; i++) {
        await new Promise<void>((resolve, reject) => {
          const tx = db.transaction('rows', 'readwrite', { durability: 'relaxed' })
          write(tx)
          if (explicit) tx.commit()
          tx.oncomplete = () => resolve()
          tx.onabort = () => reject(tx.error)
        })
      }
    },
  })
  const measured = await alternate(
    {
      ours: {
        iterations: 30,
        async run(iterations) {
          for (let i = 0; i < iterations; i++) await store.transaction(lock, ['rows'], write)
        },
      },
      bare: bare(false),
      committed: bare(true),
    },
    100,
    globalThis.progress,
  )
  await locks.close()
  await store.close()
  db.close()
  return measured
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name)
    request.onupgradeneeded = () => {
      for (const store of ['rows', 'others', 'fence']) request.result.createObjectStore(store)
      upgradeIndexedDB(request.result)
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** Makes the same requests as a lock, and nothing else. */
function rowByRow(db: IDBDatabase, read: readonly string[], written: readonly string[], value: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const tx = db.transaction(['rows', 'others', 'fence'], 'readwrite', { durability: 'relaxed' })
    for (const [index, store] of read.entries()) {
      tx.objectStore(store).get('job').onsuccess = () => {
        if (index < read.length - 1) return
        for (const store of written) tx.objectStore(store).put(value, 'job')
        tx.commit()
      }
    }
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error)
  })
}

/** The minimal code to update one record per key. `explicit` calls `commit()` instead of leaving it to the browser. */
function readModifyWrite(db: IDBDatabase, value: object, explicit: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const tx = db.transaction('rows', 'readwrite', { durability: 'relaxed' })
    const rows = tx.objectStore('rows')
    rows.get('job').onsuccess = () => {
      rows.put(value, 'job')
      if (explicit) tx.commit()
    }
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error)
  })
}
