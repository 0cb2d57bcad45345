import type { Notes } from '../stores/remote/notes.ts'
import type { SqliteDatabase } from '../stores/sqlite/driver.ts'
import type { LogEntry, LogKind, LogQuery } from './wire.ts'

export type NewEntry = Omit<LogEntry, 'id'>

/** How much of the log is kept. */
export interface LogLimits {
  /** In ms. */
  readonly age: number
  /** Entries of the history. */
  readonly entries: number
  /** Entries of refusals and failed renewals. */
  readonly refusals: number
}

/** Attempts that changed nothing. Any client can make any number of these, so they are kept apart from the history, in a ring. */
const attempts: ReadonlySet<LogKind> = new Set<LogKind>(['refusal', 'renewal-failure'])

export const isAttempt = (kind: LogKind): boolean => attempts.has(kind)

/** The server's own data, in the store's database: the owner of each session, and the log. */
export interface Journal {
  /** Makes this the owner of these sessions, unless they already have another one. @returns the owner of each */
  bind(sessions: readonly string[], owner: string, at: number): Promise<string[]>
  ownerOf(session: string): Promise<string | undefined>
  /** Sessions that were bound before this time, the first ones after `after` in the order of their ids. */
  boundBefore(at: number, after: string, limit: number): Promise<string[]>
  unbind(sessions: readonly string[]): Promise<void>
  append(entries: readonly NewEntry[]): Promise<void>
  /**
   * Adds entries of the history through a connection that is in a transaction of the locks. Missing if the journal is not in their database. The
   * entries count once `stand` is called. Throws the engine's error.
   */
  readonly alongside?: { add(db: SqliteDatabase, entries: readonly NewEntry[]): void; stand(entries: readonly NewEntry[]): void } | undefined
  /** The same for a database that answers asynchronously: the store itself inserts the rows of the entries. */
  readonly along?: (Pick<Notes, 'insertion'> & { rowsOf(entries: readonly NewEntry[]): readonly object[] }) | undefined
  /** Whether the grant of a key with this fencing token is among the entries. */
  hasGrant(key: string, token: number): Promise<boolean>
  /**
   * Reads a few entries at a time, with turns of the event loop in between.
   * @param prefixes the entries' keys have to start with one of these; without it, all entries are found, also those without a key
   */
  query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]>
  /** How many entries the history has. */
  size(): Promise<number>
  /**
   * Drops entries that are too old; and if there are too many, the oldest of the client with the most, so that no client pushes out the entries of
   * another.
   */
  trim(now: number, limits: LogLimits): Promise<void>
  /** Writes a value without a meaning. Rejects if nothing can be written. */
  touch(): Promise<void>
  /** A client of plain requests has come back, and this wait answers it now. Another server may not have noticed yet that the client left it. */
  attend?(session: string, wait: string): Promise<void>
  /** The wait that answers the session's client since it last came back. */
  attendedBy?(session: string): Promise<string | undefined>
  /** Tells other servers on the same store that this one runs, and with which keys. Missing if there cannot be any. @returns those that run now */
  meet?(server: RunningServer): Promise<readonly RunningServer[]>
  /** This server ends. */
  leave?(id: string): Promise<void>
  close(): Promise<void>
}

/** A lock server as the other servers on the same store see it. */
export interface RunningServer {
  readonly id: string
  /** Where it runs, in words. */
  readonly name: string
  /** The fingerprint of the key that it signs lockTokens with. */
  readonly signs: string
  /** The fingerprints of all its keys. */
  readonly knows: readonly string[]
}

/** How many entries are read in one turn of the event loop. */
export const step = 1_000

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
