import { type HeldBy, type Holder, LockError, type LockErrorCode } from '../protocol/index.ts'

/** The realm of each open session in this context: '' for its own session, else the page for which this worker has the session. */
export const realms = new Map<string, string>()

const words: Readonly<Record<HeldBy, string>> = {
  session: 'you hold it yourself',
  process: 'another session of this process holds it',
  other: 'someone else holds it',
}

/** The error for a call that did not get a lock; it says who holds the lock. */
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
