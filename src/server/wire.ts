import type { Command, Expire, Json, LockErrorCode, LossReason, Mode, Outcome, PlainView, Release, Renew, Withdraw } from '../protocol/index.ts'
import type { Message } from '../store.ts'

/** The messages that go over the network, as JSON. `schemas/asked.ts` checks the incoming ones. */

/** The header with the client key, which only the client knows. A session belongs to the key, and the credential, that opened it. */
export const clientHeader = 'storelock-client'

/**
 * The lockToken of a lock that a session holds or, without `token`, of the session's places in the key's queue. The client that has it may renew and
 * release the lock and withdraw the request that was granted, or withdraw the places.
 */
export interface Ticket {
  readonly key: string
  readonly session: string
  readonly token?: number | undefined
  /** The number of the request that was granted. */
  readonly number?: number | undefined
  readonly lockToken: string
}

type Owned = Renew | Release | Withdraw

/** A command as it is sent. */
export type WireCommand =
  | Exclude<Command, Owned | Expire>
  /** With the lockToken that proves that the lock or the place is the sender's. */
  | (Owned & { readonly lockToken?: string | undefined })
  /** Only names the suspect: the server gathers its own evidence. */
  | (Omit<Expire, 'evidence'> & { readonly evidence: Suspect })

export type Suspect =
  | { readonly token: number; readonly seq?: number | undefined }
  | { readonly session: string; readonly number: number; readonly seq?: number | undefined }

/** `POST /v1/apply` */
export interface ApplyBody {
  readonly commands: readonly WireCommand[]
  /** Identifies the sender and its event stream. The batches of one sender are carried out in order. */
  readonly sender?: string | undefined
  /** Counts the batches of a sender. */
  readonly batch?: number | undefined
  /** Batches up to this number are void: if one arrives late, it is refused. */
  readonly void?: number | undefined
  /** All topics of the sender's event stream. */
  readonly topics?: readonly string[] | undefined
}

/** The additional field in the outcome of a command that exceeds a limit. */
export interface OverLimit {
  /** The name of the credential's limit that was exceeded. */
  readonly limit: string
}

/** An outcome as it is sent. */
export type WireOutcome<O = Outcome> = O extends { readonly record: unknown }
  ? Omit<O, 'record'> & { readonly record: PlainView }
  : O extends { readonly type: 'failed' }
    ? O & Partial<OverLimit>
    : O

export interface ApplyReply {
  /** A key's `record` is only in the last outcome for the key. It is missing if the answer would be too long: read the key then. */
  readonly outcomes: readonly WireOutcome[]
  /** One for each grant and each place that the outcomes give to the client's own sessions. */
  readonly lockTokens: readonly Ticket[]
}

/** `GET /v1/locks/{key}`, and `GET /v1/locks?key=`, which takes any key. */
export interface ReadReply {
  readonly lock: PlainView | null
  /** One for each lock and each place of the client's own sessions. */
  readonly lockTokens: readonly Ticket[]
}

/** `GET /v1/locks?key=&session=&session=`: the existing rows of these sessions, for waiters far back in the queue, which need no more. */
export interface RowsReply {
  readonly sessions: PlainView['sessions']
}

/** `GET /v1/locks?prefix=&after=&limit=&busy=`: with `busy=true`, locks that are not held, waited for or pinned may be left out. */
export interface ListReply {
  readonly locks: readonly PlainView[]
  /** Whether there are more after the last key. */
  readonly more: boolean
}

/** `POST /v1/publish` */
export interface PublishBody {
  readonly messages: readonly { readonly topic: string; readonly message: Message }[]
}

/** The `data` of the first event, named `open`. If the server ends the stream, the last one is named `bye`. */
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
  /** The session holds the lock with this fencing token, and has the tokens up to `lastToken` in reserve. */
  | {
      readonly valid: true
      readonly holder: { readonly session: string; readonly client: string; readonly label?: string | undefined }
      readonly mode: Mode
      readonly token: number
      readonly lastToken: number
    }
  /** `reason` is how the lock was lost, if that is known. A released lock has none. */
  | { readonly valid: false; readonly why: 'forged' | 'not-held'; readonly reason?: LossReason | undefined }

/** `POST /v1/acquire` */
export interface AcquireBody {
  readonly key: string
  /** The client's own id for this request: sent again with the same id, it keeps its place or its grant. Default: a new one, which the answer has. */
  readonly request?: string | undefined
  /** Default `exclusive`. */
  readonly mode?: Mode | undefined
  /** How many may hold the lock together; all of them request it with the same limit. Default 1. */
  readonly limit?: number | undefined
  /** How long the lock is kept without a renewal, in ms. Default 30,000. */
  readonly duration?: number | undefined
  /** How long to wait for the lock, in ms; 0 takes no place in the queue. Default 30,000. */
  readonly wait?: number | undefined
  /** The label under which other clients see the holder. */
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
      /** The token of the key's previous grant. */
      readonly previous: number
      readonly lockToken: string
      /** How long the lock is kept without a renewal, in ms. Count from this answer at the latest. */
      readonly duration: number
    }
  /** The request waits behind `ahead` holders and waiters. It keeps its place for as long as its lease: send it again. */
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
  /** False if the lock was no longer held. */
  readonly released: boolean
  readonly key: string
}

/** The kinds of log entries. `refusal` is a command that its sender had no right to send, and may be an attack. */
export const logKinds = ['grant', 'renewal-failure', 'release', 'withdrawal', 'end', 'eviction', 'steal', 'revoke', 'refusal'] as const
export type LogKind = (typeof logKinds)[number]

export interface LogEntry {
  /** Rises with every entry. */
  readonly id: number
  /** Wall time in ms since 1970. */
  readonly at: number
  readonly kind: LogKind
  /** Empty if the entry concerns a session as a whole. */
  readonly key: string
  readonly session?: string | undefined
  readonly token?: number | undefined
  /** The sender of the command: the name of its credential, and its network address. */
  readonly who?: string | undefined
  readonly address?: string | undefined
  readonly why?: string | undefined
  /** For a refusal or a failed renewal: how many more of the same client the log has left out since the last entry. */
  readonly omitted?: number | undefined
}

/** The query of `GET /v1/log`. */
export interface LogQuery {
  readonly key?: string | undefined
  readonly prefix?: string | undefined
  readonly kind?: LogKind | undefined
  /** Wall time in ms since 1970, both included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Only entries before this id: the next page. */
  readonly before?: number | undefined
  readonly limit: number
}

/** The entries, newest first. */
export interface LogReply {
  readonly entries: readonly LogEntry[]
}

/** `GET /inspector/me`: the client's name and rights, for the server's page. */
export interface InspectorReply {
  /** False without a credential, where one is needed. */
  readonly signedIn: boolean
  /** The credential's name; '' if no credentials are configured. */
  readonly name: string
  readonly admin: boolean
  readonly readOnly: boolean
  /** Whether the client may ask holders to release. */
  readonly ask: boolean
}

/** The body of every answer that reports a failure. */
export interface ErrorReply {
  readonly error: {
    readonly code: LockErrorCode | 'unauthorized' | 'forbidden' | 'too-many' | 'too-long' | 'not-found' | 'void' | 'over'
    readonly message: string
  }
}
