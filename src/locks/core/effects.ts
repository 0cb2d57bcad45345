import type { LockError, LossReason } from '../../protocol/index.ts'
import type { Granted } from './grant.ts'

/** What to do, in this order. */
export type Effect<R, G> =
  /** Send the request's command, once the session is open: see `Key.command`. */
  | { readonly do: 'send'; readonly request: R; readonly number: number }
  /** Ask the store to confirm a grant, and pass on its answer: `Key.confirmed`. */
  | { readonly do: 'confirm'; readonly request: R; readonly number: number; readonly session: string; readonly token: number }
  /** The request is granted: it is held since then, and until then at most if it is not confirmed. */
  | { readonly do: 'start'; readonly request: R; readonly grant: Granted; readonly since: number; readonly drift: number; readonly until?: number }
  /** The request is refused: with an error, or because the lock is not available now. */
  | { readonly do: 'refuse'; readonly request: R; readonly error?: LockError }
  /** The request is refused: the lock is held or waited for with another limit. */
  | { readonly do: 'contradict'; readonly request: R }
  /** Nobody here wants what the store may have under this number: release the token, or withdraw the request if there is none. */
  | { readonly do: 'letGo'; readonly number: number; readonly token?: number | undefined }
  /** The record no longer names the grant. */
  | { readonly do: 'lose'; readonly grant: G; readonly how: LossReason }
  /** Requests have waited for a whole duration for a lock that this session holds itself. */
  | { readonly do: 'stuck'; readonly request: R }
  /** Look at the record now. */
  | { readonly do: 'look' }
  /** Send its holders a hint to look at it. */
  | { readonly do: 'hint' }
  /** Watch the sessions in front of this session's first request, and look again after a pause. */
  | { readonly do: 'wait' }
  /** The store says that others have ended the session. */
  | { readonly do: 'end' }

export type Effects<R, G> = readonly Effect<R, G>[]
