import type { HeldLock, Locks } from 'storelock'
import type { LockFactory } from 'supertokens-website/utils/lockFactory/types.js'
import { caughtUp, markInCookie } from './caught-up.ts'

/** The `lockFactory` of supertokens-website, which makes a lock for each refresh. */
export function superTokensLock(locks: Locks): LockFactory {
  return async () => {
    const held = new Map<string, HeldLock>()
    return {
      /** @returns whether it got the lock within `timeout` ms */
      async acquireLock(name, timeout = 5_000) {
        const lock = await locks.acquire(name, { timeout }).catch((error) => {
          if (error.code !== 'timeout') throw error
        })
        if (!lock) return false
        held.set(name, lock)
        await caughtUp(lock, markInCookie(`${name}-mark`))
        return true
      },
      async releaseLock(name) {
        const lock = held.get(name)
        if (!lock) return
        markInCookie(`${name}-mark`).write(lock.token)
        held.delete(name)
        await lock.release()
      },
    }
  }
}
