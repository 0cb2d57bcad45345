import { type HeldBy, type Holder, LockError, type LockErrorCode, type LockView, limitOf, type Outcome } from '../protocol/index.ts'

/** The realm of each open session that was made here: '' is this context, any other a page for which this worker has the session. */
export const realms = new Map<string, string>()

const words: Readonly<Record<HeldBy, string>> = {
  session: 'you hold it yourself',
  process: 'another session of this process holds it',
  other: 'someone else holds it',
}

/** The error of a call that did not get a lock; it says who holds it. */
export function refusalOf(
  asking: { readonly id: string; readonly realm: string },
  code: LockErrorCode,
  why: string,
  holders: readonly Holder[],
): LockError {
  const near = holders.map(({ session }) => (session === asking.id ? 0 : realms.get(session) === asking.realm ? 1 : 2))
  const heldBy = (['session', 'process', 'other'] as const)[Math.min(...near)]
  return new LockError(code, heldBy ? `${why}: ${words[heldBy]}` : why, { holders, heldBy })
}

/** Whether a request was refused because others hold the lock, or wait for it, with another limit. */
export const contradicts = (outcome: Outcome): outcome is Extract<Outcome, { type: 'refused' }> =>
  outcome.type === 'refused' && outcome.reason === 'limit'

/** The error of a request whose limit is not that of those who hold the lock or wait for it. */
export function contradictionOf(name: string, limit: number | undefined, view: Pick<LockView, 'holders' | 'queue'>): LockError {
  const words = (limit: number | undefined): string => (limit === undefined ? 'no limit' : `a limit of ${limit}`)
  const why = `${JSON.stringify(name)} is held or waited for with ${words(limitOf(view))}, so it cannot be requested with ${words(limit)} meanwhile`
  return new LockError('invalid', why, { holders: view.holders })
}
