import { decodeRecord, isAllFixed, type LockRecord, type LockView } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'

/**
 * A cache for repeated looks: answers without a transaction as long as nothing in the database has changed, and decodes a record only if it has
 * changed. So a look is cheap, however many waiters there are.
 */
export interface Glance {
  /** @param reader each reader gets the same object until something changes, unless a user could modify it */
  read(key: string, reader: string | undefined, fresh: () => LockView | undefined): LockView | undefined
  /** Decodes a record's text for callers that do not modify the result. */
  decode(key: string, text: string): LockRecord
  /** Called when our own connection is about to write, because SQLite's counter does not show us our own writes. */
  forget(): void
}

/** How many views, and how many records, are kept. */
const capacity = 1_000

/** @param db a connection that only the store writes through */
export function makeGlance(db: SqliteDatabase): Glance {
  const getVersion = db.prepare('PRAGMA data_version')
  const views = new Map<string, LockView | undefined>()
  const records = new Map<string, { readonly text: string; readonly record: LockRecord }>()
  let version: unknown

  return {
    read(key, reader, fresh) {
      // The counter is read before the data, so that the next look notices a change between the two.
      const { data_version: present } = getVersion.get() as { data_version: number | bigint }
      if (present !== version || views.size >= capacity) views.clear()
      version = present
      const look = `${reader} ${key}`
      if (!views.has(look)) views.set(look, fresh())
      const view = views.get(look)
      // Metadata and asks in a look's result reach users, who could modify them.
      return view && reader !== undefined && isAllFixed(view) ? view : structuredClone(view)
    },
    decode(key, text) {
      const known = records.get(key)
      if (known?.text === text) return known.record
      if (records.size >= capacity) records.clear()
      const record = decodeRecord(key, text)
      records.set(key, { text, record })
      return record
    },
    forget() {
      // Clearing a map takes time even if the map is empty.
      if (views.size) views.clear()
    },
  }
}
