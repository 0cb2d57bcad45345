import { LockError, type Policy } from '../protocol/index.ts'
import type { ClientCredential } from './credentials.ts'
import type { ReportOptions } from './report.ts'

/** Key and certificate, as PEM, for TLS. */
export interface ServerTls {
  readonly key: string | Uint8Array
  readonly cert: string | Uint8Array
  /** Who vouches for the certificates of clients, as PEM: those may come by a certificate in place of a bearer token. */
  readonly clientCa?: string | Uint8Array
}

/** What one client, or all of them, may ask of the server. */
export interface ServerLimits {
  /** Longest body of a request, in bytes. Default 1 MiB. */
  readonly body?: number
  /** Longest headers of a request, in bytes. Default 16 KiB. */
  readonly headers?: number
  /** Most commands in a batch. Default 1,000. */
  readonly batch?: number
  /** Most locks that one credential holds, of one address where there are none; so are all limits of a credential. Default 10,000. */
  readonly held?: number
  /** Most places in queues that one credential has. Default 10,000. */
  readonly waiters?: number
  /** Most bytes of metadata and asks, as JSON, of what one credential holds and waits for. Default 4 MiB. */
  readonly metadata?: number
  /** Most bytes of these that one credential has in the record of one lock, which is read and written whole. Default 64 KiB. */
  readonly record?: number
  /** Most sessions of one credential. Default 5,000. */
  readonly sessions?: number
  /** Most locks that were not there before and that one credential asks for while the server runs; what is swept counts no more. Default 100,000. */
  readonly keys?: number
  /** Most stores of one credential whose batches are put in order: each process or page has one. Default 5,000. */
  readonly senders?: number
  /** Most topics on the event streams of one credential. Default 10,000. */
  readonly topics?: number
  /** Most of those topics that are also heard from processes at the store itself, each by a socket: those first come. Default 256. */
  readonly sockets?: number
  /** Most requests of one credential that are not answered yet. Default 2,000. */
  readonly pending?: number
  /** Most bytes of one credential's requests and answers that are under way. Default 32 MiB. */
  readonly traffic?: number
  /** Most bytes of one answer; a list is cut there and has more pages. Default 1 MiB. */
  readonly answer?: number
  /** Most requests a second of one credential, or of one address where there are none; twice as many at once. Default 20,000. */
  readonly rate?: number
  /** Most connections. Default 2,000. */
  readonly connections?: number
  /** Most connections from one address. Default 1,000. */
  readonly perAddress?: number
  /** Most event streams of one credential, or of one address. Default 1,000. */
  readonly streams?: number
  /** Most requests that one connection sends before they are answered. Default 32. */
  readonly pipelined?: number
  /** How long a request may take to arrive, in ms. Default 10,000. */
  readonly requestTimeout?: number
  /** How much may wait for a client that is slow to read its events, in bytes; then its stream is dropped. Default 256 KiB. */
  readonly buffer?: number
}

/** How the log is kept. */
export interface LogOptions {
  /** For how long, in ms. Default 30 days. */
  readonly age?: number
  /** Most entries of what happened to locks. Default 1,000,000. Beyond it the oldest of whoever has most go first. */
  readonly entries?: number
  /** Most entries of what was refused and of renewals that failed. Default 10,000. */
  readonly refusals?: number
  /** Whether no lock is granted while the log cannot be written. Default true. */
  readonly required?: boolean
}

/** One key of lockTokens, or several. */
export type Secret = string | Uint8Array | readonly (string | Uint8Array)[]

export interface HandlerOptions {
  /** Who may use the server. Without any, whoever reaches it. */
  readonly clients?: readonly ClientCredential[]
  /**
   * Makes the lockTokens; 16 bytes or more. Of several the first one signs, and all verify: so a new one takes over without voiding what the
   * old one signed. Default: STORELOCK_SECRET, or a file beside the database that the first start makes.
   */
  readonly secret?: Secret
  /** What each namespace allows, by its name; '' is the default one's. */
  readonly policies?: Readonly<Record<string, Policy>>
  /** Names by which the server may be called, with their ports where they are not the default one. Without it those of loopback, or any if `clients` are given. */
  readonly hosts?: readonly string[]
  /** Origins of pages that may use the server, such as `https://app.example`. Default: none but its own. */
  readonly origins?: readonly string[]
  /** Whether the server evicts by itself who was silent for its lease, or only when a client asks for it. Default `auto`. */
  readonly expiry?: 'auto' | 'manual'
  readonly log?: LogOptions
  readonly limits?: ServerLimits
  /** How long requests that are under way, and what is not written yet, may take at the end, in ms. Default 10,000. */
  readonly grace?: number
  /** Hears of each request, and of faults that no answer tells, in lines of JSON. Default: nobody does. */
  readonly report?: ReportOptions
  /** Hears of faults that no answer tells. Default: `report`, or else `console.error`. */
  readonly onError?: (error: unknown) => void
}

/** What a server that runs can be given anew. What is left out stays as it is. */
export interface ReloadOptions {
  /** All who may use it from now on. Event streams of the others end. */
  readonly clients?: readonly ClientCredential[]
  /** The first one signs lockTokens from now on, and all verify them. */
  readonly secret?: Secret
}

export type Limits = Required<ServerLimits>

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

/** @throws LockError `invalid` that names a limit which is none */
export function limitsOf(limits: ServerLimits = {}): Limits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(limitDefaults, name))
      throw new LockError('invalid', `the server knows no limit ${JSON.stringify(name)}: there are ${Object.keys(limitDefaults).join(', ')}`)
    if (!Number.isSafeInteger(value) || value < 1) throw new LockError('invalid', `the limit ${name} is a whole number above 0, not ${String(value)}`)
  }
  return { ...limitDefaults, ...limits }
}
