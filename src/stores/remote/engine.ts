import type { Part } from '../../store.ts'
import type { Noted } from './notes.ts'
import type { Row, Write } from './rows.ts'

/** A database or service that answers asynchronously. Its methods reject with its own errors. */
export interface Engine<Version> {
  /** How many commands a batch may have, if the engine limits what it writes at once. One call of `apply` may have more; the engine's store splits it. */
  readonly largest?: number | undefined
  /** What errors call it, such as `the Postgres database app on db:5432`; without passwords. */
  readonly title: string
  /** Wall time in ms since 1970, best the engine's own. */
  now(): number
  /** Those of these rows that exist, all as they are at one moment. */
  fetch(ids: readonly string[]): Promise<ReadonlyMap<string, Row<Version>>>
  /**
   * Makes all these changes at one moment, durably, if at that moment each of the rows `seen` has the given version or, if that is `undefined`, is
   * missing. Every row to be written is among them; `undefined` means delete. It does not wait for others' transactions.
   * @param noted what to write with the changes, if the engine can, telling it so by `kept`
   * @returns the new version of the rows written; `undefined` if some row has changed or cannot be had now, and nothing was written
   */
  commit(seen: ReadonlyMap<string, Version | undefined>, writes: ReadonlyMap<string, Write | undefined>, noted?: Noted): Promise<Version | undefined>
  /** The keys of records that start with a prefix; with `limit`, some that come after the key `after`, in an order that never changes. */
  keys(prefix: string, range: Range): Promise<readonly string[]>
  /**
   * The ids and texts of up to 16 sessions' rows: of those whose `expiresAt` is before `now`, the oldest; or with `after`, those that follow this id
   * in the order of ids, wrapping around at the end, each once.
   */
  stale(now: number, after: string | undefined): Promise<readonly (readonly [id: string, text: string])[]>
}

export interface Range extends Part {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}
