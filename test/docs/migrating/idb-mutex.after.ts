import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const locks = createLocks({ store: indexedDBStore('app-locks'), duration: 10_000 })

export async function sync(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  await locks.request('sync', (lock) => work(lock.signal)) // renewed for as long as the work takes
}
