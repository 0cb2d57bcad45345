import { createLocks, LockError } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const locks = createLocks({ store: indexedDBStore('app-locks') })

export async function refresh(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  try {
    await locks.request('token', { timeout: 5_000 }, (lock) => work(lock.signal))
    return true
  } catch (error) {
    if (error instanceof LockError && error.code === 'timeout') return false
    throw error
  }
}
