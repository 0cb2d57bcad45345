import { AuthClient, type LockFunc, NavigatorLockAcquireTimeoutError } from '@supabase/auth-js'
import { LockError, type Locks } from 'storelock'

/** A negative `wait` waits for ever, 0 does not wait, and any other number is in ms. */
const lockBy =
  (locks: Locks): LockFunc =>
  async (name, wait, work) => {
    const lock = await locks.acquire(name, wait < 0 ? {} : { timeout: wait }).catch((error) => {
      // Only an error of this class tells the client that the lock was not free in time.
      throw error instanceof LockError && ['held', 'timeout'].includes(error.code) ? new NavigatorLockAcquireTimeoutError(error.message) : error
    })
    try {
      return await work()
    } finally {
      await lock.release()
    }
  }

export function makeAuth(url: string, locks: Locks) {
  return new AuthClient({ url, storageKey: 'app-session', lock: lockBy(locks) })
}
