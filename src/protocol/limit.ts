import type { Outcome } from './commands.ts'
import { LockError } from './errors.ts'
import type { Claim, LockRecord } from './record.ts'

type Claims = Pick<LockRecord, 'holders' | 'queue'>

/** The highest limit: every holder is in the record, which each command reads and writes. */
export const maxLimit = 1_000

/** The limit of all who hold or wait for a lock; `undefined` if it has none, or nobody holds or waits. They have the same: others are refused. */
export const limitOf = ({ holders, queue }: Claims): number | undefined => (holders[0] ?? queue[0])?.limit

/** Whether those who hold the lock, or wait for it, have another limit than a claim. */
export const contradicts = (claims: Claims, { limit }: Pick<Claim, 'limit'>): boolean =>
  (claims.holders.length > 0 || claims.queue.length > 0) && limitOf(claims) !== limit

/** Whether a request was refused for its limit. */
export const isContradicted = (outcome: Outcome): outcome is Extract<Outcome, { type: 'refused' }> & { readonly reason: 'limit' } =>
  outcome.type === 'refused' && outcome.reason === 'limit'

/** The error of a request that was refused for its limit. */
export function contradictionOf(name: string, limit: number | undefined, claims: Claims): LockError {
  const words = (limit: number | undefined): string => (limit === undefined ? 'no limit' : `a limit of ${limit}`)
  const why = `${JSON.stringify(name)} is held or waited for with ${words(limitOf(claims))}, so it cannot be requested with ${words(limit)} meanwhile`
  return new LockError('invalid', why, { holders: claims.holders })
}
