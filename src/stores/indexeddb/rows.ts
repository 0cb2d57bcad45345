import { type IDBPDatabase, type IDBPTransaction, unwrap } from 'idb'
import type { Changes } from '../../protocol/batch.ts'
import { decodeRecord, decodeSession, encodeRecord, encodeSession, schemaVersion } from '../../protocol/codec.ts'
import type { LockRecord, SessionRow } from '../../protocol/record.ts'

/** What is needed of an open database: the browser's own, or idb's. */
export type OpenDatabase = Pick<IDBDatabase, 'name' | 'objectStoreNames'> & { readonly transaction: unknown; readonly createObjectStore: unknown }

export type Transaction = IDBPTransaction<unknown, string[], 'readwrite'>

/** A transaction's rows, as a synchronous question sees them: `undefined` if there is none. */
export interface Rows {
  /** The highest token of any record that was dropped; 0 until it is known. */
  readonly floor: number
  /** Asks for the floor, as a key without a record does by itself. */
  needFloor(): void
  record(key: string): LockRecord | undefined
  session(id: string): SessionRow | undefined
  /** Some of the sessions whose `expiresAt` is before `now`. */
  expired(now: number): SessionRow[]
  keys(prefix: string): string[]
}

const records = 'storelock-records'
const sessions = 'storelock-sessions'
const meta = 'storelock-meta'

export const objectStores = [records, sessions, meta]

/** The browser's database behind one that idb may have wrapped. */
export const bare = (database: OpenDatabase): IDBDatabase => unwrap(database as unknown as IDBPDatabase) ?? (database as IDBDatabase)

/**
 * Creates the object stores that locks need, where they are missing: the line for the upgrade callback of your own database.
 *
 * @example openDB('app', 2, { upgrade: (db) => upgradeIndexedDB(db) })
 */
export function upgradeIndexedDB(database: OpenDatabase): void {
  const db = bare(database)
  const create = (name: string) => (db.objectStoreNames.contains(name) ? undefined : db.createObjectStore(name))
  create(records)
  create(sessions)?.createIndex('expiresAt', 'expiresAt')
  create(meta)?.put(schemaVersion, 'version')
}

/** The version of the form in which a database keeps its rows. */
export const versionOf = (db: IDBPDatabase): Promise<number> => db.get(meta, 'version')

/**
 * Answers a question that is asked synchronously of rows that come asynchronously: puts it with what is known,
 * fetches all the rows that it missed at once, and puts it again until it misses none.
 */
export async function settle<T>(tx: Transaction, question: (rows: Rows) => T): Promise<T> {
  const found = new Map<string, unknown[]>()
  let missed: Promise<unknown>[] = []
  /** What a request found, in an array of one; an empty one until that is known. */
  const ask = <R>(id: string, request: () => Promise<R>): R[] => {
    if (!found.has(id)) {
      found.set(id, [])
      missed.push(request().then((row) => found.set(id, [row])))
    }
    return found.get(id) as R[]
  }
  const get = (store: string, key: string) => ask(store + key, () => tx.objectStore(store).get(key))

  const rows: Rows = {
    get floor() {
      return (found.get(`${meta}floor`)?.[0] ?? 0) as number
    },
    needFloor: () => void get(meta, 'floor'),
    record(key) {
      const row = get(records, key)
      if (row[0] !== undefined) return decodeRecord(key, row[0])
      if (row.length) rows.needFloor()
      return undefined
    },
    session(id) {
      const [row] = get(sessions, id)
      return row === undefined ? undefined : decodeSession(id, row.text)
    },
    expired(now) {
      const [ids = []] = ask('expired', () => tx.objectStore(sessions).index('expiresAt').getAllKeys(IDBKeyRange.upperBound(now, true), 16))
      return ids.flatMap((id) => {
        try {
          return rows.session(id as string) ?? []
        } catch {
          // A row that cannot be read, or is a newer version's, must not stop the heartbeats of all others.
          return []
        }
      })
    },
    keys(prefix) {
      const [keys = []] = ask('keys', () => tx.objectStore(records).getAllKeys(IDBKeyRange.lowerBound(prefix)))
      return (keys as string[]).filter((key) => key.startsWith(prefix))
    },
  }
  for (;;) {
    missed = []
    const answer = question(rows)
    if (!missed.length) return answer
    await Promise.all(missed)
  }
}

/** Writes what a batch changed over a store of that floor, and ends the transaction. */
export async function write(tx: Transaction, changes: Changes, floor: number): Promise<void> {
  // All is encoded before anything is written, so that what cannot be encoded leaves nothing half done.
  const rows = [
    ...[...changes.records].map(([key, record]) => [records, key, record && encodeRecord(record)] as const),
    ...[...changes.sessions].map(([id, row]) => [sessions, id, row && { expiresAt: row.expiresAt, text: encodeSession(row) }] as const),
    ...(changes.floor > floor ? [[meta, 'floor', changes.floor] as const] : []),
  ]
  const written = rows.map(([store, key, row]) => (row === undefined ? tx.objectStore(store).delete(key) : tx.objectStore(store).put(row, key)))
  tx.commit()
  await Promise.all(written)
}
