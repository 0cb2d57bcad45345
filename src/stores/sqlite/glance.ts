import type { LockView } from '../../protocol/index.ts'
import type { SqliteDatabase } from './driver.ts'

/** Answers reads anew without a transaction as long as nothing in the database has changed, for those who look again and again. */
export interface Glance {
  read(key: string, fresh: () => LockView | undefined): LockView | undefined
  /** Our own connection is about to write, which SQLite's counter does not tell it. */
  forget(): void
}

/** How many views are kept in mind. */
const capacity = 1_000

/** @param db a connection that nobody else writes through */
export function makeGlance(db: SqliteDatabase): Glance {
  const getVersion = db.prepare('PRAGMA data_version')
  // As text, so that nothing that comes out is shared.
  const views = new Map<string, string | undefined>()
  let version: unknown

  return {
    read(key, fresh) {
      // Before the read that it guards: what is written between the two is seen as a change by the next.
      const { data_version: present } = getVersion.get() as { data_version: number | bigint }
      if (present !== version || views.size >= capacity) views.clear()
      version = present
      if (views.has(key)) return parse(views.get(key))
      const view = fresh()
      views.set(key, view && JSON.stringify(view))
      return view
    },
    forget: () => views.clear(),
  }
}

const parse = (text: string | undefined): LockView | undefined => (text === undefined ? undefined : JSON.parse(text))
