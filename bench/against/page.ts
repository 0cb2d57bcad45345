import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { acquireRelease, measureMe } from './sides.ts'

measureMe(async (place) => {
  const store = indexedDBStore(place)
  const [locks, lingering] = [createLocks({ store, duration: 60_000 }), createLocks({ store, linger: 10_000, namespace: 'lingering' })]
  const held = await locks.acquire('held')
  return {
    sides: {
      'indexeddb.acquireRelease': acquireRelease(locks, 20),
      'linger.acquire, in Chromium': acquireRelease(lingering, 2_000),
      'indexeddb.fencedWrite': {
        iterations: 20,
        async run(count) {
          for (let i = 0; i < count; i++) await store.transaction(held, [], () => {})
        },
      },
    },
    async close() {
      await held.release()
      for (const each of [locks, lingering]) await each.close()
      await store.close()
    },
  }
})
