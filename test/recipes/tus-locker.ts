import { ERRORS, type Lock, type Locker } from '@tus/server'
import type { HeldLock, Locks } from 'storelock'

/** Locks for `new Server({ locker })` of @tus/server: one request at a time works on an upload, and the newest one wins. */
export function tusLocker(locks: Locks, { timeout = 30_000 }: { timeout?: number } = {}): Locker {
  return { newLock: (id) => uploadLock(locks, `upload ${id}`, timeout) }
}

function uploadLock(locks: Locks, name: string, timeout: number): Lock {
  let held: HeldLock | undefined
  return {
    async lock(signal, cancelReq) {
      // tus calls this once for each request. `cancelReq` ends that request: it saves what has arrived, and calls `unlock`.
      const lock = await locks
        .acquire(name, { signal, timeout, ask: 'a newer request for this upload', onReleaseRequested: () => cancelReq() })
        .catch((cause) => {
          throw isTimeout(cause) || signal.aborted ? ERRORS.ERR_LOCK_TIMEOUT : cause
        })
      held = lock
      // Also if the lock is lost: the request must stop before another server continues the upload.
      lock.signal.addEventListener('abort', () => {
        if (held === lock) cancelReq()
      })
    },
    async unlock() {
      if (!held) throw new Error('Releasing an unlocked lock!')
      const lock = held
      held = undefined
      await lock.release()
    },
  }
}

const isTimeout = (error: unknown): boolean => (error as { code?: unknown }).code === 'timeout'
