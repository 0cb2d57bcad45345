import { createLocks, type HeldLock, type LockError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { errorOf } from '../locks/world.ts'

const aborted = (lock: HeldLock): Promise<unknown> =>
  new Promise((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason), { once: true }))

interface Mishap {
  /** The error with which the lock was lost. */
  readonly lost: LockError
  /** The error of a request that waited for the lock. */
  readonly waited: LockError
  readonly store: ReturnType<typeof sqliteStore>
  /** How long it took until the lock was lost, in ms. */
  readonly took: number
}

/** Takes a lock in a file, then lets a mishap happen to the file. @returns the consequences */
export async function whileHeld(path: string, mishap: () => void): Promise<Mishap> {
  const store = sqliteStore(path)
  const [holder, other] = [createLocks({ store, duration: 1_000 }), createLocks({ store, duration: 1_000 })]
  const lock = await holder.acquire('job')
  const waiting = errorOf(other.acquire('job'))
  const start = performance.now()
  mishap()
  const lost = (await aborted(lock)) as LockError
  const took = performance.now() - start
  const waited = await waiting
  await Promise.all([holder.close(), other.close()])
  return { lost, waited, store, took }
}
