import type { Store } from '../store.ts'

/** An empty place for records, and what a test may do there. */
export interface StorePlace {
  /** Opens the place; when called again, another store on the same place. */
  open(): Store | Promise<Store>
  /** Puts something that is no record where that of `key` stands; without it, that fact is left out. */
  corrupt?(key: string): void | Promise<void>
  /** Reads the bytes that stand for `key`, to see that nothing was overwritten. Needed with `corrupt`. */
  raw?(key: string): unknown
  /** For a store with a fence: how a body writes a text, and which one stands there in the end. Without it, those facts are left out. */
  fence?: { write(tx: never, text: string): unknown; written(): unknown }
  /** Set if a second `open()` does not see what the first one wrote. */
  alone?: boolean
  /** Set if the store judges by itself who is gone, and does nothing on clients' evidence and challenges: facts about these are left out. */
  observes?: boolean
  /** Clears the place away. */
  remove?(): void | Promise<void>
}
