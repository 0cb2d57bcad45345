import { decodeRecord, isAllFixed, type LockRecord, type LockView } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'

/**
 * For those who look again and again: answers without a transaction as long as nothing in the database has changed, and decodes
 * a record once as long as that has not. A look costs little then, however many wait.
 */
export interface Glance {
  /** @param reader what comes out for one is the same object until something changes, unless somebody could change it */
  read(key: string, reader: string | undefined, fresh: () => LockView | undefined): LockView | undefined
  /** What a record's text says, for those who change nothing of it. */
  decode(key: string, text: string): LockRecord
  /** Our own connection is about to write, which SQLite's counter does not tell it. */
  forget(): void
}

/** How many views, and how many records, are kept in mind. */
const capacity = 1_000

/** @param db a connection that nobody else writes through */
export function makeGlance(db: SqliteDatabase): Glance {
  const getVersion = db.prepare('PRAGMA data_version')
  const views = new Map<string, LockView | undefined>()
  const records = new Map<string, { readonly text: string; readonly record: LockRecord }>()
  let version: unknown

  return {
    read(key, reader, fresh) {
      // Before the read that it guards: what is written between the two is seen as a change by the next.
      const { data_version: present } = getVersion.get() as { data_version: number | bigint }
      if (present !== version || views.size >= capacity) views.clear()
      version = present
      const look = `${reader} ${key}`
      if (!views.has(look)) views.set(look, fresh())
      const view = views.get(look)
      // What requests carry comes out of a look into the hands of users.
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
    forget: () => views.clear(),
  }
}
