import { LockError, type Policy } from '../protocol/index.ts'
import type { ClientCredential } from './credentials.ts'
import type { ReportOptions } from './report.ts'

/** Key and certificate for TLS, as PEM. */
export interface ServerTls {
  readonly key: string | Uint8Array
  readonly cert: string | Uint8Array
  /** The authority that signs clients' certificates, as PEM: such clients need no bearer token. */
  readonly clientCa?: string | Uint8Array | undefined
}

/** Limits on one client, or on all of them. */
export interface ServerLimits {
  /** Longest body of a request, in bytes. Default 1 MiB. */
  readonly body?: number | undefined
  /** Longest headers of a request, in bytes. Default 16 KiB. */
  readonly headers?: number | undefined
  /** Most commands in a batch. Default 1,000. */
  readonly batch?: number | undefined
  /** Most locks that one credential holds. Without `clients`, all limits of a credential are per address. Default 10,000. */
  readonly held?: number | undefined
  /** Most places in queues of one credential. Default 10,000. */
  readonly waiters?: number | undefined
  /** Most bytes of the metadata and asks of one credential's locks and waits, as JSON. Default 4 MiB. */
  readonly metadata?: number | undefined
  /** Most bytes of one credential's metadata and asks in one lock's record: the record is read and written whole. Default 64 KiB. */
  readonly record?: number | undefined
  /** Most sessions of one credential. Default 5,000. */
  readonly sessions?: number | undefined
  /** Most new locks that one credential requests while the server runs; swept ones do not count. Default 100,000. */
  readonly keys?: number | undefined
  /** Most HTTP stores that use one credential: each process or page has one. Default 5,000. */
  readonly senders?: number | undefined
  /** Most topics on the event streams of one credential. Default 10,000. */
  readonly topics?: number | undefined
  /** Most of those topics that also get messages of processes using the store directly, by a socket each; first come, first served. Default 256. */
  readonly sockets?: number | undefined
  /** Most unanswered requests of one credential. Default 2,000. */
  readonly pending?: number | undefined
  /** Most bytes of one credential's pending requests and answers. Default 32 MiB. */
  readonly traffic?: number | undefined
  /** Most bytes of one answer; a longer list is cut and has more pages. Default 1 MiB. */
  readonly answer?: number | undefined
  /** Most requests a second of one credential, or of one address without `clients`; twice as many in a burst. Default 20,000. */
  readonly rate?: number | undefined
  /** Most connections. Default 2,000. */
  readonly connections?: number | undefined
  /** Most connections from one address. Default 1,000. */
  readonly perAddress?: number | undefined
  /** Most event streams of one credential, or of one address. Default 1,000. */
  readonly streams?: number | undefined
  /** Most unanswered requests of one connection. Default 32. */
  readonly pipelined?: number | undefined
  /** How long a request may take to arrive, in ms. Default 10,000. */
  readonly requestTimeout?: number | undefined
  /** How much may wait for a client that reads its events slowly, in bytes; beyond that its stream is dropped. Default 256 KiB. */
  readonly buffer?: number | undefined
}

/** How the log is kept. */
export interface LogOptions {
  /** For how long, in ms. Default 30 days. */
  readonly age?: number | undefined
  /** Most entries of the history. Default 1,000,000. Beyond that, the oldest entries of the client with the most are dropped. */
  readonly entries?: number | undefined
  /** Most entries of refusals and failed renewals. Default 10,000. */
  readonly refusals?: number | undefined
  /** Grant no lock while the log cannot be written. Default true. */
  readonly required?: boolean | undefined
}

/** One key for lockTokens, or several. */
export type Secret = string | Uint8Array | readonly (string | Uint8Array)[]

export interface HandlerOptions {
  /** The clients that may use the server. Default: every client that can reach it. */
  readonly clients?: readonly ClientCredential[] | undefined
  /**
   * Signs the lockTokens; 16 bytes or more. If there are several, the first one signs and all verify, so a new secret can be added without voiding
   * the lockTokens of the old one. Default: STORELOCK_SECRET, or a file beside the database that the first start creates.
   */
  readonly secret?: Secret | undefined
  /** The policy of each namespace, by its name; '' is the default one. */
  readonly policies?: Readonly<Record<string, Policy>> | undefined
  /** The server's own host names, with their ports if these are not the default. Default: those of loopback, or any if `clients` are given. */
  readonly hosts?: readonly string[] | undefined
  /** Origins of pages that may use the server, such as `https://app.example`. Default: only its own. */
  readonly origins?: readonly string[] | undefined
  /** Whether the server evicts silent holders by itself, or only when a client asks for it. Default `auto`. */
  readonly expiry?: 'auto' | 'manual' | undefined
  readonly log?: LogOptions | undefined
  readonly limits?: ServerLimits | undefined
  /** Whether the inspector is served at `/`: a page that shows what its visitor's credential may see. Default true. */
  readonly inspector?: boolean | undefined
  /** How long `close` waits for pending requests and unwritten log entries, in ms. Default 10,000. */
  readonly grace?: number | undefined
  /** Gets each request, and errors that no answer reports, in lines of JSON. Default: none. */
  readonly report?: ReportOptions | undefined
  /** Called with errors that no answer reports. Default: `report`, or else `console.error`. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** The options that can be replaced while a server runs. Omitted options stay unchanged. */
export interface ReloadOptions {
  /** The new clients. Event streams of removed ones end. */
  readonly clients?: readonly ClientCredential[] | undefined
  /** The first one signs new lockTokens, and all verify. */
  readonly secret?: Secret | undefined
}

export type Limits = Record<keyof ServerLimits, number>

export const limitDefaults: Limits = {
  body: 1_048_576,
  headers: 16_384,
  batch: 1_000,
  held: 10_000,
  waiters: 10_000,
  metadata: 4_194_304,
  record: 65_536,
  sessions: 5_000,
  keys: 100_000,
  senders: 5_000,
  topics: 10_000,
  sockets: 256,
  pending: 2_000,
  traffic: 33_554_432,
  answer: 1_048_576,
  rate: 20_000,
  connections: 2_000,
  perAddress: 1_000,
  streams: 1_000,
  pipelined: 32,
  requestTimeout: 10_000,
  buffer: 262_144,
}

/** @throws LockError `invalid` that names an unknown limit */
export function limitsOf(limits: ServerLimits = {}): Limits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(limitDefaults, name))
      throw new LockError('invalid', `there is no limit ${JSON.stringify(name)}, only ${Object.keys(limitDefaults).join(', ')}`)
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
      throw new LockError('invalid', `the limit ${name} is a whole number above 0, not ${String(value)}`)
  }
  const given = Object.entries(limits).filter(([, value]) => value !== undefined)
  return { ...limitDefaults, ...Object.fromEntries(given) }
}
