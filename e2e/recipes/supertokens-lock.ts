import type { HeldLock, Locks } from 'storelock'
import type { LockFactory } from 'supertokens-website/utils/lockFactory/types.js'

/** The `lockFactory` of supertokens-website, which makes a lock for each refresh. */
export function superTokensLock(locks: Locks): LockFactory {
  return async () => {
    const held = new Map<string, HeldLock>()
    return {
      /** @returns whether it has the lock, within so many ms */
      async acquireLock(name, timeout = 5_000) {
        const lock = await locks.acquire(name, { timeout }).catch((error) => {
          if (error.code !== 'timeout') throw error
        })
        if (lock) held.set(name, lock)
        return lock !== undefined
      },
      async releaseLock(name) {
        await held.get(name)?.release()
        held.delete(name)
      },
    }
  }
}
