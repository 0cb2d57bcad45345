import type { LossReason, Request as RequestCommand } from '../../protocol/index.ts'

/** What a request asks for, as its command says. */
type Wanted = Pick<RequestCommand, 'mode' | 'limit' | 'lease' | 'metadata' | 'ifAvailable' | 'ifNoQueue' | 'steal' | 'ask'>

/** The last look, or answer, that still showed a request waiting. */
export interface Seen {
  /** When it went out, on the monotonic clock, in ms. */
  readonly at: number
  /** By how much the wall clock was ahead of the monotonic one then, in ms. */
  readonly drift: number
  /** The record's token. */
  readonly token: number
}

/**
 * Where a request is in its life: asking → queued → confirming → over. The rules T1 to T9 are in docs/time.md.
 *
 * - `unsent`: the record does not have it, since the context slept or its session has ended (T8). The next look sends it.
 * - `asking`: its command is under way.
 * - `queued`: it waits in the record's queue. Looks up to number `after` had begun earlier, so they may not show it.
 * - `confirming`: it was found granted, but too late to use the lock at once, so the store is asked to confirm the grant first (T1).
 * - `over`: granted, refused or given up.
 */
export type RequestLife =
  | { readonly is: 'unsent' }
  | { readonly is: 'asking' }
  | { readonly is: 'queued' | 'confirming'; readonly seen: Seen; readonly after: number }
  | { readonly is: 'over' }

export const unsent: RequestLife = { is: 'unsent' }
export const asking: RequestLife = { is: 'asking' }
export const over: RequestLife = { is: 'over' }

/** One request of this session for a key. */
export interface Request {
  readonly wish: Wanted
  /** Its number in the record, with its session's id; a new one each time that it is sent. */
  number: number
  life: RequestLife
  /** Whether the grace of the holders that it asked is over: it steals the lock now. */
  impatient: boolean
  /** A grant of this request that was taken before the session knew of it. */
  robbed: { readonly token: number; readonly how: LossReason } | undefined
  /** When it first had a place in the queue, in ms. */
  since: number
}

/** Whether it steals the lock now. With an ask, it does so only when its grace is over. */
export const steals = ({ wish, impatient }: Request): boolean | undefined => wish.steal && (wish.ask === undefined || impatient)
