import { baseOf, createCore } from './base.ts'
import { clockHere } from './page-clock.ts'
import { expire, pin, query, reentrant, revoke, sweep, unpin, whenFree } from './parts.ts'
import type { CoreLocks, HeldLock, Locks, LocksOptions } from './types.ts'
import { requestArguments, requestOptions } from './webidl.ts'

/**
 * This context's locks in a store. One object for each tab, worker or process is enough; it sends heartbeats only while it holds a lock.
 * @throws TypeError, RangeError or LockError `invalid` if an option is wrong
 */
export function createLocks(options: LocksOptions): Locks {
  const locks = createCore({ ...options, clock: options?.clock ?? clockHere() })
  const base = baseOf(locks)
  const rest: Omit<Locks, Exclude<keyof CoreLocks, 'request'>> = {
    async request<T>(...args: unknown[]): Promise<Awaited<T>> {
      const { name, options, callback } = requestArguments(args, requestOptions)
      return await base.request(name, options, callback as (lock: HeldLock | null) => T)
    },
    query: (name) => query(locks, name),
    reentrant: (name, options) => reentrant(locks, name, options),
    whenFree: (name, options) => whenFree(locks, name, options),
    expire: (name) => expire(locks, name),
    revoke: (name, session) => revoke(locks, name, session),
    pin: (name, entity) => pin(locks, name, entity),
    unpin: (name, entity) => unpin(locks, name, entity),
    sweep: (options) => sweep(locks, options),
  }
  return Object.assign(locks, rest)
}
