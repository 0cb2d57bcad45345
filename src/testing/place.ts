import type { Store } from '../store.ts'

/** An empty place for records, and what a test may do with it. */
export interface StorePlace {
  /** Opens the place; if called again, another store on the same place. */
  open(): Store | Promise<Store>
  /** Replaces the record of `key` with something that is not a record. Without it, the fact about corrupt records is left out. */
  corrupt?(key: string): void | Promise<void>
  /** Reads the bytes stored for `key`, to check that nothing was overwritten. Needed with `corrupt`. */
  raw?(key: string): unknown
  /** For a store with a fence: writes a text in a transaction, and returns the stored text. Without it, the facts about fences are left out. */
  fence?: { write(tx: never, text: string): unknown; written(): unknown } | undefined
  /** Set if a second `open()` does not see what the first one wrote. */
  alone?: boolean | undefined
  /** Set if the store itself decides which sessions are gone, and ignores clients' evidence and challenges: facts about these are left out. */
  observes?: boolean | undefined
  /** Removes the place. */
  remove?(): void | Promise<void>
}
