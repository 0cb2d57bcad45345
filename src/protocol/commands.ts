import type { LockErrorCode } from './errors.ts'
import type { Claim, Holder, Json, LockView, Mode, SessionRow } from './record.ts'

/** Asks for a lock. The session numbers its requests, so that repeating a request never makes a second one. */
export interface Request {
  readonly type: 'request'
  readonly key: string
  readonly session: string
  readonly client: string
  readonly number: number
  readonly mode: Mode
  /** As in a {@link Claim}. The store refuses the request unless the holders and waiters have the same limit. */
  readonly limit?: number | undefined
  /** The short lease, in ms, of a grant that another session's command makes: three of the waiter's poll intervals. */
  readonly confirm: number
  /** A lease of the hold's own, in ms; without it the hold leans on the session's row. */
  readonly lease?: number | undefined
  readonly metadata?: Json | undefined
  /** Never queues. */
  readonly ifAvailable?: boolean | undefined
  /** Queues only if the queue is empty. */
  readonly ifNoQueue?: boolean | undefined
  /** Takes the lock from its holders, ahead of the queue. */
  readonly steal?: boolean | undefined
  /** How many more tokens to reserve, for using the same grant again. */
  readonly reserve?: number | undefined
  /** If the request has to wait, asks the holders to release; they can read this value. */
  readonly ask?: Json | undefined
}

/** A command on a hold or request of the session's own. */
interface Owned {
  /** If set, a session without a row gets the refusal `ended`, and its hold or request is void. If not, only a renewal needs the row. */
  readonly standing?: boolean | undefined
}

/** Confirms or renews one hold. Never shortens a lease; works on a stale hold that nobody has evicted. */
export interface Renew extends Owned {
  readonly type: 'renew'
  readonly key: string
  readonly session: string
  readonly token: number
  /** Gives the hold a lease of its own, of at least this many ms; without it a plain hold leans on the session's row. */
  readonly lease?: number | undefined
}

export interface Release extends Owned {
  readonly type: 'release'
  readonly key: string
  readonly session: string
  readonly token: number
}

/** Withdraws a request: removes it from the queue or, if it was granted meanwhile, releases it. */
export interface Withdraw extends Owned {
  readonly type: 'withdraw'
  readonly key: string
  readonly session: string
  readonly number: number
}

/** Evidence that a holder is gone: it still has this token and leans on this counter. */
export interface HolderEvidence {
  readonly token: number
  readonly seq: number | undefined
}

/** Evidence that a waiter is gone: its request still waits and its session still has this counter. */
export interface WaiterEvidence {
  readonly session: string
  readonly number: number
  readonly seq: number | undefined
}

/** Evicts a holder or a waiter on evidence that is checked again here. */
export interface Expire {
  readonly type: 'expire'
  readonly key: string
  /** The session that sends this command. If the command grants the lock to this session, that grant needs no confirmation. */
  readonly session?: string | undefined
  readonly evidence: HolderEvidence | WaiterEvidence
}

/** Takes the lock from one session, or from all holders, whether alive or not. */
export interface Revoke {
  readonly type: 'revoke'
  readonly key: string
  readonly session?: string | undefined
}

/** Protects the key's holder from eviction by evidence, until `unpin`. May come before there is a holder. */
export interface Pin {
  readonly type: 'pin' | 'unpin'
  readonly key: string
  readonly entity: string
}

/** Drops the record of a key that nobody holds, waits for or pins; the store keeps its token as the floor. */
export interface Sweep {
  readonly type: 'sweep'
  readonly key: string
}

/** Opens a session's row, or renews it and with it every hold that leans on it. */
export interface Beat {
  readonly type: 'beat'
  readonly session: string
  readonly client: string
  readonly lease: number
  readonly label?: string | undefined
  readonly beacon?: string | undefined
  /** Creates the row if it is missing. Without it a missing row means that the session has ended. */
  readonly opens?: boolean | undefined
  /** The answer shows the session rows that follow this id in the order of ids, wrapping around at the end. Without it, some overdue rows. */
  readonly others?: string | undefined
}

/** Asks a session to show by a beat that it is alive. */
export interface Challenge {
  readonly type: 'challenge'
  readonly session: string
}

/**
 * Ends a session. Without `seq`: by its own choice, or because it is proved dead. With `seq`: on evidence that it is silent. Its holds and requests
 * are void.
 */
export interface End {
  readonly type: 'end'
  readonly session: string
  readonly seq?: number | undefined
}

/** A command on one key's record. */
export type KeyCommand = Request | Renew | Release | Withdraw | Expire | Revoke | Pin | Sweep
/** A command on a session's row. */
export type SessionCommand = Beat | Challenge | End
/** Plain, structured-cloneable data. */
export type Command = KeyCommand | SessionCommand

/**
 * Why a command changed nothing. `busy`: held or queued for. `not-held`: no such hold, request or pin. `not-owner`: the hold is another session's.
 * `live`: the evidence is no longer valid. `pinned`: protected by a pin. `ended`: the command's session has no row. `limit`: the request's limit
 * contradicts its other options, or the limit of the holders and waiters.
 */
export type Refusal = 'busy' | 'not-held' | 'not-owner' | 'live' | 'pinned' | 'ended' | 'limit'

interface Changed {
  /** The record after this command, with the session rows that matter to it. */
  readonly record: LockView
  /** The waiters that this command granted the lock to: exactly these have to be woken. */
  readonly grants: readonly Holder[]
  /** The holders that this command took the lock from. */
  readonly evicted: readonly Holder[]
}

export type Outcome =
  /** A request was granted; `repeated` if an earlier command had done so. */
  | ({ readonly type: 'granted'; readonly holder: Holder; readonly repeated: boolean } & Changed)
  | ({ readonly type: 'queued' } & Changed)
  | ({ readonly type: 'renewed'; readonly holder: Holder } & Changed)
  | ({ readonly type: 'done' } & Changed)
  /** The command changed nothing; `reason` says why. */
  | ({ readonly type: 'refused'; readonly reason: Refusal } & Changed)
  /** A session's row after a beat, and rows that look abandoned, or those that the beat asked for. */
  | { readonly type: 'beaten'; readonly session: SessionRow; readonly stale: readonly SessionRow[] }
  | { readonly type: 'challenged' }
  /** The session has no row, or no longer has one. */
  | { readonly type: 'ended' }
  /** The evidence that a session is gone is no longer valid. */
  | { readonly type: 'alive' }
  /** The command failed and changed nothing. */
  | { readonly type: 'failed'; readonly code: LockErrorCode; readonly message: string }
