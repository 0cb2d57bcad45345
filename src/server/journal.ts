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

/** Attempts that changed nothing. Anybody can make any number of these, so they are kept apart from the history, in a ring. */
const attempts: ReadonlySet<LogKind> = new Set<LogKind>(['refusal', 'renewal-failure'])

export const isAttempt = (kind: LogKind): boolean => attempts.has(kind)

/** The server's own data, in the store's database: the owner of each session, and the log. */
export interface Journal {
  /** Makes the owner own these sessions, unless they are someone else's. @returns the owner of each */
  bind(sessions: readonly string[], owner: string, at: number): Promise<string[]>
  ownerOf(session: string): Promise<string | undefined>
  /** Sessions that were bound before this time, the first ones after `after` in the order of their ids. */
  boundBefore(at: number, after: string, limit: number): Promise<string[]>
  unbind(sessions: readonly string[]): Promise<void>
  append(entries: readonly NewEntry[]): Promise<void>
  /**
   * Adds entries of what happened, by a connection that is in a transaction of the locks; where the journal is not kept beside them it cannot.
   * They count once `stand` is called. Throws the engine's error.
   */
  readonly alongside?: { add(db: SqliteDatabase, entries: readonly NewEntry[]): void; stand(entries: readonly NewEntry[]): void } | undefined
  /** The same for a database that answers asynchronously: the store itself inserts rows for entries of what happened. */
  readonly along?: (Pick<Notes, 'insertion'> & { rowsOf(entries: readonly NewEntry[]): readonly object[] }) | undefined
  /** Whether the grant of a key with this fencing token is among the entries. */
  hasGrant(key: string, token: number): Promise<boolean>
  /**
   * Reads a few entries at a time, with turns of the event loop in between.
   * @param prefixes what the keys of entries have to start with; without it all are found, also those without a key
   */
  query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]>
  /** How many entries the history has. */
  size(): Promise<number>
  /**
   * Drops entries that are too old; and if there are too many, the oldest of the client with the most, so that nobody pushes out the entries of
   * others.
   */
  trim(now: number, limits: LogLimits): Promise<void>
  /** Writes something of no meaning. Rejects if nothing can be written. */
  touch(): Promise<void>
  /** A client of plain requests has come back, and is answered by this wait now: another server may not have noticed yet that it had gone. */
  attend?(session: string, wait: string): Promise<void>
  /** The wait by which the client that came back last is answered. */
  attendedBy?(session: string): Promise<string | undefined>
  /** Tells other servers on the same store that this one runs, and with which keys. @returns those that run now; missing where there can be none */
  meet?(server: RunningServer): Promise<readonly RunningServer[]>
  /** This server ends. */
  leave?(id: string): Promise<void>
  close(): Promise<void>
}

/** A lock server as others on the same store see it. */
export interface RunningServer {
  readonly id: string
  /** Where it runs, in words. */
  readonly name: string
  /** The print of the key that it signs lockTokens with. */
  readonly signs: string
  /** The prints of all its keys. */
  readonly knows: readonly string[]
}

/** How many entries are read in one turn of the event loop. */
export const step = 1_000

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
