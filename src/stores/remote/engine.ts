import type { Part } from '../../store.ts'
import type { Noted } from './notes.ts'
import type { Row, Write } from './rows.ts'

/** A database or service that answers asynchronously. Its methods reject with its own errors. */
export interface Engine<Version> {
  /**
   * How many commands a batch may have, if the engine limits what it writes at once. One call of `apply` may have more commands; the engine's store
   * splits it.
   */
  readonly largest?: number | undefined
  /** The engine's name in error messages, such as `the Postgres database app on db:5432`, without passwords. */
  readonly title: string
  /** Wall time in ms since 1970, preferably the engine's own. */
  now(): number
  /** The rows with these ids that exist, all read at one moment. */
  fetch(ids: readonly string[]): Promise<ReadonlyMap<string, Row<Version>>>
  /**
   * Makes all changes in `writes`, atomically and durably, if each row in `seen` has the given version or, if that is `undefined`, is missing. Every
   * row in `writes` is also in `seen`; `undefined` means delete. It never waits for other transactions.
   * @param noted rows to write in the same commit, if the engine can; it then calls `kept`
   * @returns the new version of the rows written; `undefined` if nothing was written, because a row has changed or is locked right now
   */
  commit(seen: ReadonlyMap<string, Version | undefined>, writes: ReadonlyMap<string, Write | undefined>, noted?: Noted): Promise<Version | undefined>
  /** The keys of records that start with a prefix; with `limit`, at most that many, after the key `after`, in an order that never changes. */
  keys(prefix: string, range: Range): Promise<readonly string[]>
  /**
   * The ids and texts of up to 16 sessions' rows: the oldest with an `expiresAt` before `now`; or, with `after`, the rows that follow this id in the
   * order of ids, wrapping around at the end, each once.
   */
  stale(now: number, after: string | undefined): Promise<readonly (readonly [id: string, text: string])[]>
}

export interface Range extends Part {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}
