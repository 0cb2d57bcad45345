import { type IDBPDatabase, unwrap } from 'idb'
import type { Changes } from '../../protocol/batch.ts'
import { decodeRecord, decodeSession, encodeRecord, encodeSession, schemaVersion } from '../../protocol/codec.ts'
import type { LockRecord, SessionRow } from '../../protocol/record.ts'
import { fenceRow, fenceStore, refenced } from './fence.ts'
import { Memory } from './memory.ts'

/** What is needed of an open database: the browser's own, or idb's. */
export type OpenDatabase = Pick<IDBDatabase, 'name' | 'objectStoreNames'> & { readonly transaction: unknown; readonly createObjectStore: unknown }

/** A transaction's rows, as a synchronous question sees them: `undefined` if there is none. */
export interface Rows {
  /** The highest token of any record that was dropped. */
  readonly floor: number
  record(key: string): LockRecord | undefined
  session(id: string): SessionRow | undefined
  /** Some of the sessions whose `expiresAt` is before `now`. */
  expired(now: number): SessionRow[]
  keys(prefix: string): string[]
  version(): number | undefined
  /** Plans what a batch changed to be written. */
  write(changes: Changes): void
}

const records = 'storelock-records'
const sessions = 'storelock-sessions'
const meta = 'storelock-meta'

/**
 * The object stores that a transaction needs. While a user's long transaction has the fence, heartbeats, renewals and looks go on;
 * only who asks for a lock, or lets go, waits for its end, and whatever comes after that waits too, since browsers keep the order.
 */
export const scopes = {
  look: [records, sessions],
  beat: [sessions],
  renew: [records, sessions, meta],
  change: [records, sessions, meta, fenceStore],
} as const

export type Scope = keyof typeof scopes

/** A renewal turned out to free a lock for someone else: it has to be done again in the scope `change`. */
export const tooNarrow = new Error('the fence is not in this scope')

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
  create(fenceStore)
  create(meta)?.put(schemaVersion, 'version')
}

/** A transaction was undone, since what it wrote rested on a wrong guess: it has to be done again. */
export const misjudged = new Error('a row was not as it was remembered')

/**
 * Answers a question that is asked synchronously of rows that come asynchronously: it is put with what is remembered of them,
 * and again with what they are if that was wrong or too little. Writes what the question planned, in the same transaction,
 * and resolves when that is complete.
 *
 * Guessing has the answer at hand when the rows come: while the browser fetches them there is nothing else to do, and a
 * transaction that waits for us holds up everyone else's. Where nobody else seems to write the rows, what the answer comes to is
 * even written behind the reads. It is committed only if they show what was guessed; else the transaction is undone.
 *
 * @throws {@link misjudged} in that case
 */
export function ask<T>(tx: IDBTransaction, question: (rows: Rows) => T, memory: Memory = new Memory()): Promise<T> {
  return new Promise((resolve, reject) => {
    let answer: T
    const step = (): void => {
      try {
        if (!rows.sure) {
          if (rows.placed) throw misjudged
          answer = rows.put(question)
          if (rows.pending && rows.mayPlace) rows.place()
        }
        if (rows.pending) return
        rows.commit()
        // What was only read stands.
        if (tx.mode === 'readonly') resolve(answer)
      } catch (error) {
        // What comes of a guess says nothing: the question is put again when the rows are here.
        rows.sure = false
        if (rows.pending && !rows.placed) return
        reject(error)
        tx.abort()
      }
    }
    const rows = new AskedRows(tx, memory, step)
    const end = (): void => {
      // The browser keeps the listeners of a finished transaction, and all they refer to, until its next great collection.
      tx.oncomplete = tx.onabort = null
    }
    tx.oncomplete = () => {
      end()
      resolve(answer)
    }
    tx.onabort = () => {
      end()
      reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError'))
    }
    step()
  })
}

interface Asked {
  readonly request: IDBRequest
  readonly guess: unknown
}

/** A transaction's rows, each asked for when it is first looked at. */
class AskedRows implements Rows {
  /** How many have been asked for and are not here yet. */
  pending = 0
  /** Whether the last answer rests on no guess, or on right ones. */
  sure = false
  /** Whether what was planned is in the object stores. */
  placed = false
  readonly #tx: IDBTransaction
  readonly #memory: Memory
  /** Plain events, since idb's promises and proxies made an acquire and release a tenth slower. */
  readonly #arrived: () => void
  readonly #asked = new Map<string, Asked>()
  #writes: [store: string, key: string, row: unknown][] = []

  /** Calls `step` when all rows that were asked for are here. */
  constructor(tx: IDBTransaction, memory: Memory, step: () => void) {
    this.#tx = tx
    this.#memory = memory
    this.#arrived = () => {
      this.pending -= 1
      if (this.pending) return
      for (const [id, { request, guess }] of this.#asked) {
        const right = textOf(request.result) === textOf(guess)
        // That a look finds what was written since says nothing of what the next transaction finds.
        if (!right || tx.mode === 'readwrite') memory.learn(id, right)
        if (right) continue
        this.sure = false
        memory.remember(id, request.result)
      }
      step()
    }
  }

  /** Puts the question with what is known or guessed by now. */
  put<T>(question: (rows: Rows) => T): T {
    this.sure = true
    this.#writes = []
    return question(this)
  }

  /** Whether all rows may be taken for what is remembered of them. */
  get mayPlace(): boolean {
    if (this.#tx.mode === 'readonly') return false
    for (const [id, { guess }] of this.#asked) if (!this.#memory.relies(id, guess)) return false
    return true
  }

  /** Puts what was planned into the object stores. */
  place(): void {
    this.placed = true
    for (const [name, key, row] of this.#writes) {
      const store = this.#tx.objectStore(name)
      const request = row === undefined ? store.delete(key) : store.put(row, key)
      request.onerror = unheard
    }
  }

  commit(): void {
    if (!this.placed) this.place()
    for (const [name, key, row] of this.#writes) this.#memory.remember(name + key, row)
    this.#tx.commit()
  }

  get floor(): number {
    return (this.#get(meta, 'floor') as number | undefined) ?? 0
  }

  version(): number | undefined {
    return this.#get(meta, 'version') as number | undefined
  }

  record(key: string): LockRecord | undefined {
    const text = this.#get(records, key)
    return text === undefined ? undefined : decodeRecord(key, text)
  }

  session(id: string): SessionRow | undefined {
    const row = this.#get(sessions, id) as StoredSession | undefined
    return row && decodeSession(id, row.text)
  }

  expired(now: number): SessionRow[] {
    const index = () => this.#tx.objectStore(sessions).index('expiresAt')
    const ids = this.#find('expired', () => index().getAllKeys(IDBKeyRange.upperBound(now, true), 16), [])
    return (ids as string[]).flatMap((id) => {
      try {
        return this.session(id) ?? []
      } catch {
        // A row that cannot be read, or is a newer version's, must not stop the heartbeats of all others.
        return []
      }
    })
  }

  keys(prefix: string): string[] {
    const keys = this.#find('keys', () => this.#tx.objectStore(records).getAllKeys(IDBKeyRange.lowerBound(prefix)), [])
    return (keys as string[]).filter((key) => key.startsWith(prefix))
  }

  write({ outcomes, records: changed, sessions: rows, floor }: Changes): void {
    for (const key of refenced(outcomes)) {
      if (!this.#tx.objectStoreNames.contains(fenceStore)) throw tooNarrow
      if (changed.has(key)) this.#writes.push([fenceStore, key, fenceRow(changed.get(key))])
    }
    for (const [key, record] of changed) this.#writes.push([records, key, record && encodeRecord(record)])
    for (const [id, row] of rows) this.#writes.push([sessions, id, row && { expiresAt: row.expiresAt, text: encodeSession(row) }])
    if (floor) this.#writes.push([meta, 'floor', floor])
  }

  #get(store: string, key: string): unknown {
    const id = store + key
    return this.#find(id, () => this.#tx.objectStore(store).get(key), this.#memory.get(id))
  }

  /** What a request found, or is guessed to find. */
  #find(id: string, make: () => IDBRequest, guess: unknown): unknown {
    const known = this.#asked.get(id)
    if (known) return known.request.readyState === 'done' ? known.request.result : known.guess
    const request = make()
    request.onsuccess = this.#arrived
    this.#asked.set(id, { request, guess })
    this.pending += 1
    return guess
  }
}

interface StoredSession {
  readonly expiresAt: number
  readonly text: string
}

/** Who owns the database hears its errors, and what we undo is none. */
function unheard(event: Event): void {
  if ((event.target as IDBRequest).error?.name === 'AbortError') event.stopPropagation()
}

/** What tells rows apart. */
const textOf = (row: unknown): unknown => (row as StoredSession | undefined)?.text ?? row
