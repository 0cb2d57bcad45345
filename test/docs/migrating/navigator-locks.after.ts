import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const locks = createLocks({ store: indexedDBStore('app-locks') })

export async function sync(work: () => Promise<void>): Promise<void> {
  await locks.request('sync', work)
}

export async function trySync(work: () => Promise<void>): Promise<boolean> {
  return await locks.request('sync', { ifAvailable: true }, async (lock) => {
    if (!lock) return false
    await work()
    return true
  })
}
