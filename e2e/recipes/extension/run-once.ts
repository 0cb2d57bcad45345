import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

// The service worker, the popup and all pages of an extension share one origin, and so one database.
const locks = createLocks({ store: indexedDBStore('locks') })

/**
 * Runs a job, unless it is already running somewhere in the extension.
 * @param job has to end when the signal aborts
 * @returns whether it ran here
 */
export function runOnce(name: string, job: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  return locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) return false
    await job(lock.signal)
    return true
  })
}
