/**
 * `storelock` in parts, for pages where every kilobyte counts: `createLocks` makes locks with the methods that most programs need, and the other
 * methods are functions that take these locks.
 *
 * @example
 * const locks = createLocks({ store: indexedDBStore('app') })
 * const lock = await locks.acquire('sync')
 * const { held } = await query(locks, 'sync')
 */
export { createCore as createLocks } from './locks/base.ts'
export { clockHere as pageClock } from './locks/page-clock.ts'
export { expire, pin, query, reentrant, revoke, sweep, unpin, whenFree } from './locks/parts.ts'
export type { CoreLocks } from './locks/types.ts'
export { LockError } from './protocol/errors.ts'
