import type { LockError, LossReason } from '../../protocol/index.ts'
import type { Granted } from './grant.ts'

/** Something to do. Effects are carried out in the order in which they are returned. */
export type Effect<R, G> =
  /** Send the request's command, once the session is open: see `Key.command`. */
  | { readonly do: 'send'; readonly request: R; readonly number: number }
  /** Ask the store to confirm a grant, and pass on its answer: `Key.confirmed`. */
  | { readonly do: 'confirm'; readonly request: R; readonly number: number; readonly session: string; readonly token: number }
  /** The request is granted. The lock is held as of `since`; if the grant is not confirmed, until `until` at most. */
  | { readonly do: 'start'; readonly request: R; readonly grant: Granted; readonly since: number; readonly drift: number; readonly until?: number }
  /** The request is refused: with an error, or because the lock is not available now. */
  | { readonly do: 'refuse'; readonly request: R; readonly error?: LockError }
  /** The request is refused: the lock is held or waited for with another limit. */
  | { readonly do: 'contradict'; readonly request: R }
  /** No request here matches what the store may have under this number: release the token, or withdraw the request if there is no token. */
  | { readonly do: 'letGo'; readonly number: number; readonly token?: number | undefined }
  /** The record no longer names the grant. */
  | { readonly do: 'lose'; readonly grant: G; readonly how: LossReason }
  /** The request has waited for a whole duration for a lock that this session holds itself. */
  | { readonly do: 'stuck'; readonly request: R }
  /** Look at the record now. */
  | { readonly do: 'look' }
  /** Send the lock's holders a hint to look at the record. */
  | { readonly do: 'hint' }
  /** Watch the sessions in front of this session's first request, and look again after a pause. */
  | { readonly do: 'wait' }
  /** The store says that another session has ended this one. */
  | { readonly do: 'end' }

export type Effects<R, G> = readonly Effect<R, G>[]
