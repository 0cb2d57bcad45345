import { createLocks, type HeldLock, type LockError } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { errorOf } from '../locks/world.ts'

const aborted = (lock: HeldLock): Promise<unknown> =>
  new Promise((resolve) => lock.signal.addEventListener('abort', () => resolve(lock.signal.reason), { once: true }))

interface Mishap {
  /** How the lock was lost. */
  readonly lost: LockError
  /** The result of a request that waited for it. */
  readonly waited: LockError
  readonly store: ReturnType<typeof sqliteStore>
  /** How long the loss took, in ms. */
  readonly took: number
}

/** Takes a lock in a file, has something done to that, and tells what came of it. */
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
