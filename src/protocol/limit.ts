import { LockError } from './errors.ts'
import { type LockRecord, limitOf } from './record.ts'

/** The error for a request whose limit is not that of the lock's holders and waiters. */
export function contradictionOf(name: string, limit: number | undefined, claims: Pick<LockRecord, 'holders' | 'queue'>): LockError {
  const words = (limit: number | undefined): string => (limit === undefined ? 'no limit' : `a limit of ${limit}`)
  const why = `${JSON.stringify(name)} is held or waited for with ${words(limitOf(claims))}, so it cannot be requested with ${words(limit)} meanwhile`
  return new LockError('invalid', why, { holders: claims.holders })
}
