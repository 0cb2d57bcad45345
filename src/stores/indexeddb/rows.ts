import { type IDBPDatabase, unwrap } from 'idb'
import type { Changes } from '../../protocol/batch.ts'
import { decodeRecord, decodeSession, encodeRecord, encodeSession, schemaVersion } from '../../protocol/codec.ts'
import type { LockRecord, SessionRow } from '../../protocol/record.ts'

/** What is needed of an open database: the browser's own, or idb's. */
export type OpenDatabase = Pick<IDBDatabase, 'name' | 'objectStoreNames'> & { readonly transaction: unknown; readonly createObjectStore: unknown }

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
  version(): number | undefined
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

/**
 * Answers a question that is asked synchronously of rows that come asynchronously: puts it with what is known,
 * fetches all the rows that it missed at once, and puts it again until it misses none. Resolves when the transaction is complete.
 *
 * @param follow writes what follows from the answer, in the same transaction
 */
export function ask<T>(tx: IDBTransaction, question: (rows: Rows) => T, follow?: (tx: IDBTransaction, answer: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, unknown[]>()
    let missing = 0
    let answer: T

    const put = () => {
      try {
        answer = question(rows)
        if (missing) return
        follow?.(tx, answer)
        tx.commit()
      } catch (error) {
        reject(error)
        tx.abort()
      }
    }
    tx.oncomplete = () => resolve(answer)
    tx.onabort = () => reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError'))

    // Plain events, since idb's promises and proxies made an acquire and release a tenth slower.
    const rows = rowsOf(tx, (id, makeRequest) => {
      const known = found.get(id)
      if (known) return known as never[]
      const answers: never[] = []
      found.set(id, answers)
      missing += 1
      const request = makeRequest()
      request.onsuccess = () => {
        answers.push(request.result as never)
        missing -= 1
        if (!missing) put()
      }
      return answers
    })
    put()
  })
}

/** What a request found, in an array of one that is empty until then. */
type Find = <R>(id: string, makeRequest: () => IDBRequest<R>) => R[]

function rowsOf(tx: IDBTransaction, find: Find): Rows {
  const get = (store: string, key: string) => find(store + key, () => tx.objectStore(store).get(key))
  let floor: number[] = []
  const rows: Rows = {
    get floor() {
      return floor[0] ?? 0
    },
    needFloor() {
      floor = get(meta, 'floor')
    },
    version: () => get(meta, 'version')[0],
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
      const [ids = []] = find('expired', () => tx.objectStore(sessions).index('expiresAt').getAllKeys(IDBKeyRange.upperBound(now, true), 16))
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
      const [keys = []] = find('keys', () => tx.objectStore(records).getAllKeys(IDBKeyRange.lowerBound(prefix)))
      return (keys as string[]).filter((key) => key.startsWith(prefix))
    },
  }

  return rows
}

/** Writes what a batch changed. */
export function write(tx: IDBTransaction, changes: Changes): void {
  const put = (name: string, key: string, row: unknown) => {
    const store = tx.objectStore(name)
    if (row === undefined) store.delete(key)
    else store.put(row, key)
  }
  for (const [key, record] of changes.records) put(records, key, record && encodeRecord(record))
  for (const [id, row] of changes.sessions) put(sessions, id, row && { expiresAt: row.expiresAt, text: encodeSession(row) })
  if (changes.floor) put(meta, 'floor', changes.floor)
}
