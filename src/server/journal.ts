import type { LogEntry, LogQuery } from './wire.ts'

export type NewEntry = Omit<LogEntry, 'id'>

/** How much of the log is kept. */
export interface LogLimits {
  /** In ms. */
  readonly age: number
  readonly entries: number
}

/** What the server itself has to remember, in the store's own database: whose each session is, and what happened. */
export interface Journal {
  /** Makes sessions the owner's, unless they are someone else's. @returns whose each one is now */
  bind(sessions: readonly string[], owner: string, at: number): Promise<string[]>
  ownerOf(session: string): Promise<string | undefined>
  /** Sessions that were bound before this time, the first ones. */
  boundBefore(at: number, limit: number): Promise<string[]>
  unbind(sessions: readonly string[]): Promise<void>
  append(entries: readonly NewEntry[]): Promise<void>
  /** Whether the grant of a key with this fencing token is among the entries. */
  hasGrant(key: string, token: number): Promise<boolean>
  /** @param prefixes what the keys of entries have to start with; without it all are found, also those of no key */
  query(query: LogQuery, prefixes?: readonly string[]): Promise<LogEntry[]>
  trim(now: number, limits: LogLimits): Promise<void>
  close(): Promise<void>
}
