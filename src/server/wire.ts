import type { Command, Expire, Json, LockErrorCode, LossReason, Mode, Outcome, PlainView, Release, Renew, Withdraw } from '../protocol/index.ts'
import type { Message } from '../store.ts'

/** What goes over the network, as JSON. `schemas/asked.ts` checks what comes in. */

/** The header with the client's key: what it alone knows. A session belongs to the key, and the credential, that opened it. */
export const clientHeader = 'storelock-client'

/**
 * Of a hold, or without `token` of its session's places in the key's queue. Whoever has it may renew and release the hold and withdraw the request
 * that it answers, or withdraw the places.
 */
export interface Ticket {
  readonly key: string
  readonly session: string
  readonly token?: number | undefined
  /** Of the request that the hold answers. */
  readonly number?: number | undefined
  readonly lockToken: string
}

type Owned = Renew | Release | Withdraw

/** A command as it is sent. */
export type WireCommand =
  | Exclude<Command, Owned | Expire>
  /** With the lockToken that shows that the hold or the place is the sender's. */
  | (Owned & { readonly lockToken?: string | undefined })
  /** Only names whom it means: the server has evidence of its own. */
  | (Omit<Expire, 'evidence'> & { readonly evidence: Suspect })

export type Suspect =
  | { readonly token: number; readonly seq?: number | undefined }
  | { readonly session: string; readonly number: number; readonly seq?: number | undefined }

/** `POST /v1/apply` */
export interface ApplyBody {
  readonly commands: readonly WireCommand[]
  /** Tells the batches of one sender from those of others, and names its event stream. */
  readonly sender?: string | undefined
  /** Counts the batches of a sender. */
  readonly batch?: number | undefined
  /** Batches up to this number are void: one that comes late is refused whole. */
  readonly void?: number | undefined
  /** All that the sender's event stream is to carry from now on. */
  readonly topics?: readonly string[] | undefined
}

/** What a command that asks for too much has besides. */
export interface OverLimit {
  /** The limit of its credential that was in the way, by its name. */
  readonly limit: string
}

/** An outcome as it is sent. */
export type WireOutcome<O = Outcome> = O extends { readonly record: unknown }
  ? Omit<O, 'record'> & { readonly record: PlainView }
  : O extends { readonly type: 'failed' }
    ? O & Partial<OverLimit>
    : O

export interface ApplyReply {
  /** The `record` of a key stands only in its last outcome, and nowhere if the answer would be too long: read the key then. */
  readonly outcomes: readonly WireOutcome[]
  /** For each grant and each place that the outcomes give to sessions of the client's own. */
  readonly lockTokens: readonly Ticket[]
}

/** `GET /v1/locks/{key}`, and `GET /v1/locks?key=`, which takes any key. */
export interface ReadReply {
  readonly lock: PlainView | null
  /** For what the client's own sessions hold or wait for. */
  readonly lockTokens: readonly Ticket[]
}

/** `GET /v1/locks?key=&session=&session=`: the rows of those of these sessions that stand, for those far back in a line, who need no more. */
export interface RowsReply {
  readonly sessions: PlainView['sessions']
}

/** `GET /v1/locks?prefix=&after=&limit=&busy=`: with `busy=true`, locks that nobody holds, wants or pins may be left out. */
export interface ListReply {
  readonly locks: readonly PlainView[]
  /** Whether there are more after the last one's key. */
  readonly more: boolean
}

/** `POST /v1/publish` */
export interface PublishBody {
  readonly messages: readonly { readonly topic: string; readonly message: Message }[]
}

/** The `data` of the first event, named `open`. The last one is named `bye` where the server ends the stream. */
export interface OpenEvent {
  /** How many topics the stream carries. */
  readonly topics: number
}

/** The `data` of an event named `hint`. */
export interface HintEvent {
  readonly topic: string
  readonly message: Message
  readonly lockTokens?: readonly Ticket[] | undefined
}

/** `POST /v1/verify` */
export interface VerifyBody {
  readonly key: string
  readonly lockToken: string
}

export type VerifyReply =
  /** The session named holds the lock with this fencing token, and has the tokens up to `lastToken` in reserve. */
  | {
      readonly valid: true
      readonly holder: { readonly session: string; readonly client: string; readonly label?: string | undefined }
      readonly mode: Mode
      readonly token: number
      readonly lastToken: number
    }
  /** With how it was lost, where that is known: one that its holder let go of has no reason. */
  | { readonly valid: false; readonly why: 'forged' | 'not-held'; readonly reason?: LossReason | undefined }

/** `POST /v1/acquire` */
export interface AcquireBody {
  readonly key: string
  /** The client's own name for this request: asked for again by it, the request keeps its place, or what it was granted. Default: one that the answer has. */
  readonly request?: string | undefined
  /** Default `exclusive`. */
  readonly mode?: Mode | undefined
  /** For how long the lock is kept without a renewal, in ms. Default 30,000. */
  readonly duration?: number | undefined
  /** How long to wait for it, in ms; 0 takes no place in line. Default 30,000. */
  readonly wait?: number | undefined
  /** What others see of the holder. */
  readonly label?: string | undefined
  readonly metadata?: Json | undefined
}

export type AcquireReply =
  | {
      readonly granted: true
      readonly key: string
      readonly request: string
      /** The fencing token. */
      readonly token: number
      /** The key's last one before. */
      readonly previous: number
      readonly lockToken: string
      /** In ms, from this answer on at the latest. */
      readonly duration: number
    }
  /** The request stands in line, behind so many others, for as long as its lease: it is to come back. */
  | { readonly granted: false; readonly key: string; readonly request: string; readonly ahead: number }

/** `POST /v1/renew` */
export interface RenewBody {
  readonly key: string
  readonly lockToken: string
  /** A longer duration from now on, in ms. */
  readonly duration?: number | undefined
}

export interface RenewReply {
  readonly renewed: true
  readonly key: string
  readonly token: number
  /** In ms. */
  readonly duration: number
}

/** `POST /v1/release` */
export interface ReleaseBody {
  readonly key: string
  readonly lockToken: string
}

export interface ReleaseReply {
  /** False if it was not held any more. */
  readonly released: boolean
  readonly key: string
}

/** What happened to a lock: `refusal` is a command that its sender had no right to, and may be an attack. */
export const logKinds = ['grant', 'renewal-failure', 'release', 'withdrawal', 'end', 'eviction', 'steal', 'revoke', 'refusal'] as const
export type LogKind = (typeof logKinds)[number]

export interface LogEntry {
  /** Rises with every entry. */
  readonly id: number
  /** Wall time in ms since 1970. */
  readonly at: number
  readonly kind: LogKind
  /** Empty where it concerns a session as a whole. */
  readonly key: string
  readonly session?: string | undefined
  readonly token?: number | undefined
  /** Whose command it was: the name of the credential, and the network address. */
  readonly who?: string | undefined
  readonly address?: string | undefined
  readonly why?: string | undefined
  /** Of a refusal or a renewal that failed: how many more there were of the same client since the one before, which the log left out. */
  readonly omitted?: number | undefined
}

/** What `GET /v1/log` may ask for. */
export interface LogQuery {
  readonly key?: string | undefined
  readonly prefix?: string | undefined
  readonly kind?: LogKind | undefined
  /** Wall time in ms since 1970, both included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Only entries before this id: how to turn the page. */
  readonly before?: number | undefined
  readonly limit: number
}

/** The newest first. */
export interface LogReply {
  readonly entries: readonly LogEntry[]
}

/** The body of every answer that is no success. */
export interface ErrorReply {
  readonly error: {
    readonly code: LockErrorCode | 'unauthorized' | 'forbidden' | 'too-many' | 'too-long' | 'not-found' | 'void' | 'over'
    readonly message: string
  }
}
