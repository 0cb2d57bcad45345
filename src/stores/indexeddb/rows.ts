import type { Changes } from '../../protocol/batch.ts'
import { schemaVersion } from '../../protocol/codec.ts'
import type { LockRecord, SessionRow } from '../../protocol/record.ts'
import { fenceStore } from './fence.ts'
import { nativeOf } from './native.ts'

/** The parts of an open database, the browser's own or idb's, that the store uses. */
export type OpenDatabase = Pick<IDBDatabase, 'name' | 'objectStoreNames'> & { readonly transaction: unknown; readonly createObjectStore: unknown }

/** A transaction's rows, as a synchronous question sees them: `undefined` for a row that does not exist. */
export interface Rows {
  /** The highest token of any record that was dropped. */
  readonly floor: number
  record(key: string): LockRecord | undefined
  /** For a key whose record was removed, as a page's own code may do: the holders that the fence still names. */
  remains(key: string): LockRecord | undefined
  session(id: string): SessionRow | undefined
  /** Some of the sessions whose `expiresAt` is before `now`. */
  expired(now: number): SessionRow[]
  /** Some of the sessions that follow this id, wrapping around at the end. */
  following(id: string): SessionRow[]
  /** The keys of records; or the keys in the fence, which has all records that are not empty, and some that became empty lately. */
  keys(prefix: string, of?: 'fence', after?: string, limit?: number): string[]
  /** Plans to remove those of these keys from the fence that have no record, or an empty one. */
  unfence(keys: readonly string[]): void
  version(): number | undefined
  /** Plans the writes of what a batch changed. */
  write(changes: Changes): void
}

export const records = 'storelock-records'
export const sessions = 'storelock-sessions'
export const meta = 'storelock-meta'

/**
 * The object stores that a transaction needs. While a user's long transaction has the fence, heartbeats, renewals and looks go on; only requests and
 * releases wait for its end, and so does every transaction after them, since browsers keep the order.
 */
export const scopes = {
  look: [records, sessions],
  fence: [fenceStore],
  beat: [sessions],
  renew: [records, sessions, meta],
  change: [records, sessions, meta, fenceStore],
} as const

export type Scope = keyof typeof scopes

/** Thrown if a renewal turns out to grant the lock to another session: it has to be run again in the scope `change`. */
export const tooNarrow = new Error('the fence is not in this scope')

/**
 * The browser's database inside one that idb may have wrapped.
 * @throws TypeError if it is not a database, such as a Dexie object
 */
export function bare(database: OpenDatabase): IDBDatabase {
  if (database?.objectStoreNames) return nativeOf(database) as IDBDatabase
  throw new TypeError('not an open IndexedDB database: with Dexie, pass db.backendDB() after db.open()')
}

/**
 * Creates the object stores that locks need, if they are missing: call it in the upgrade callback of your own database.
 *
 * @example openDB('app', 2, { upgrade: (db) => upgradeIndexedDB(db) })
 */
export function upgradeIndexedDB(database: OpenDatabase): void {
  const db = bare(database)
  const create = (name: string) => (db.objectStoreNames.contains(name) ? undefined : db.createObjectStore(name))
  create(records)
  create(sessions)?.createIndex('expiresAt', 'expiresAt')
  create(fenceStore)
  create(meta)?.put(schemaVersion, 'version')
}
