import type { LogEntry, LogKind, LogQuery } from './wire.ts'

export type NewEntry = Omit<LogEntry, 'id'>

/** How much of the log is kept. */
export interface LogLimits {
  /** In ms. */
  readonly age: number
  /** Of the history. */
  readonly entries: number
  /** Of what was refused. */
  readonly refusals: number
}

/** What only says that somebody tried: anybody can make any number of these, so they are kept apart from the history, in a ring. */
const attempts: ReadonlySet<LogKind> = new Set<LogKind>(['refusal', 'renewal-failure'])

export const isAttempt = (kind: LogKind): boolean => attempts.has(kind)

/** What the server itself has to remember, in the store's own database: whose each session is, and what happened. */
export interface Journal {
  /** Makes sessions the owner's, unless they are someone else's. @returns whose each one is now */
  bind(sessions: readonly string[], owner: string, at: number): Promise<string[]>
  ownerOf(session: string): Promise<string | undefined>
  /** Sessions that were bound before this time, the first ones after `after` in the order of their ids. */
  boundBefore(at: number, after: string, limit: number): Promise<string[]>
  unbind(sessions: readonly string[]): Promise<void>
  append(entries: readonly NewEntry[]): Promise<void>
  /** Whether the grant of a key with this fencing token is among the entries. */
  hasGrant(key: string, token: number): Promise<boolean>
  /**
   * Reads a few entries at a time, with turns of the event loop between.
   * @param prefixes what the keys of entries have to start with; without it all are found, also those of no key
   */
  query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]>
  /** How many entries there are, of the history. */
  size(): Promise<number>
  /** Drops what is too old; and where there is too much, the oldest of whoever has most, so that nobody pushes out what others did. */
  trim(now: number, limits: LogLimits): Promise<void>
  close(): Promise<void>
}

/** So many entries are looked at in one turn of the event loop. */
export const step = 1_000

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
