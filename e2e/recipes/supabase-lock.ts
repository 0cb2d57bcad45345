import { type LockFunc, NavigatorLockAcquireTimeoutError } from '@supabase/auth-js'
import { LockError, type Locks } from 'storelock'
import { caughtUp, markInLocalStorage } from './caught-up.ts'

/** The `auth.lock` of supabase-js. */
export function supabaseLock(locks: Locks): LockFunc {
  return async (name, acquireTimeout, fn) => {
    const mark = markInLocalStorage(`${name} mark`)
    // A negative timeout means to wait as long as it takes, and 0 means not to wait.
    const timeout = acquireTimeout < 0 ? {} : { timeout: acquireTimeout }
    await using lock = await locks.acquire(name, timeout).catch(asTheirs)
    await caughtUp(lock, mark)
    try {
      return await fn()
    } finally {
      mark.write(lock.token)
    }
  }
}

/** This class tells supabase-js that another tab is already refreshing, so it skips its own refresh. */
function asTheirs(error: unknown): never {
  const isTimeout = error instanceof LockError && ['held', 'timeout'].includes(error.code)
  throw isTimeout ? new NavigatorLockAcquireTimeoutError(error.message) : error
}
