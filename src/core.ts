/**
 * `storelock` in parts, for pages that count kilobytes: `createLocks` with what most need, and the rest as functions that work on what it returned.
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
