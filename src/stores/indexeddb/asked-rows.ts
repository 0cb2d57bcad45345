import type { Changes } from '../../protocol/batch.ts'
import { decodeRecord, decodeSession, encodeRecord, encodeSession } from '../../protocol/codec.ts'
import { isEmpty, type LockRecord, type SessionRow } from '../../protocol/record.ts'
import { fenceRow, fenceStore, refenced, unfenced } from './fence.ts'
import type { Memory } from './memory.ts'
import { meta, type Rows, records, sessions, tooNarrow } from './rows.ts'

interface Asked {
  readonly request: IDBRequest
  readonly guess: unknown
}

/** How many session rows a beat returns. */
const shown = 16

/** A transaction's rows, each requested when it is first used. */
export class AskedRows implements Rows {
  /** How many requested rows have not arrived. */
  pending = 0
  /** Whether the last answer depends on no guess, or only on right ones. */
  sure = false
  readonly #tx: IDBTransaction
  readonly #memory: Memory
  /** A plain event listener, since idb's promises and proxies made an acquire and release a tenth slower. */
  readonly #arrived: () => void
  readonly #asked = new Map<string, Asked>()
  #writes: Write[] = []
  /** The writes that were issued based on guesses. */
  #placed: readonly Write[] | undefined

  /** Calls `answered` when a row has arrived, and `step` when all requested rows have. */
  constructor(tx: IDBTransaction, memory: Memory, answered: () => void, step: () => void) {
    this.#tx = tx
    this.#memory = memory
    this.#arrived = () => {
      answered()
      this.pending -= 1
      if (this.pending) return
      for (const [id, { request, guess }] of this.#asked) {
        const right = textOf(request.result) === textOf(guess)
        // If a read-only look finds a change, that says nothing about the next transaction.
        if (!right || tx.mode === 'readwrite') memory.learn(id, right)
        if (right) continue
        this.sure = false
        memory.remember(id, request.result)
      }
      step()
    }
  }

  /** Runs the question with what is known or guessed so far. */
  put<T>(question: (rows: Rows) => T): T {
    this.sure = true
    this.#writes = []
    return question(this)
  }

  /** Whether all guesses may be relied on. A transaction issues writes based on guesses only once. */
  get mayPlace(): boolean {
    if (this.#tx.mode === 'readonly' || this.#placed) return false
    for (const [id, { guess }] of this.#asked) if (!this.#memory.relies(id, guess)) return false
    return true
  }

  /** Issues the planned writes. */
  place(): void {
    // Undoes the writes that wrong guesses made. Each of these rows was requested before, so the original is known.
    for (const write of this.#placed ?? []) this.#write([write[0], write[1], this.#before(write)])
    for (const write of this.#writes) this.#write(write)
    this.#placed = this.#writes
  }

  commit(): void {
    if (this.#placed !== this.#writes) this.place()
    for (const write of this.#writes) this.#memory.remember(idOf(write), write[2])
    this.#tx.commit()
  }

  #write([name, key, row]: Write): void {
    const store = this.#tx.objectStore(name)
    if (row === undefined) store.delete(key)
    else store.put(row, key)
  }

  /** The value of a row when this transaction began. For the fence, that is the holders of the record. */
  #before(write: Write): unknown {
    const known = this.#asked.get(idOf(write))
    if (known) return known.request.result
    try {
      return fenceRow(this.record(write[1]))
    } catch {
      // A record that cannot be decoded has no holders.
      return undefined
    }
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

  remains(key: string): LockRecord | undefined {
    if (!this.#tx.objectStoreNames.contains(fenceStore)) return undefined
    // The fence was overwritten based on a wrong guess: abort, and the next transaction reads it first.
    if (this.#placed) throw new DOMException('', 'AbortError')
    const id = fenceStore + key
    return unfenced(
      key,
      this.#find(id, () => this.#tx.objectStore(fenceStore).get(key), undefined),
      this.floor,
    )
  }

  session(id: string): SessionRow | undefined {
    const row = this.#get(sessions, id) as StoredSession | undefined
    return row && decodeSession(id, row.text)
  }

  expired(now: number): SessionRow[] {
    const index = () => this.#tx.objectStore(sessions).index('expiresAt')
    return this.#readable(this.#find('expired', () => index().getAllKeys(IDBKeyRange.upperBound(now, true), shown), []) as string[])
  }

  following(id: string): SessionRow[] {
    const keys = (name: string, range: IDBKeyRange) =>
      this.#find(`${name} ${id}`, () => this.#tx.objectStore(sessions).getAllKeys(range, shown), []) as string[]
    const ids = [...keys('after', IDBKeyRange.lowerBound(id, true)), ...keys('up to', IDBKeyRange.upperBound(id))]
    return this.#readable(ids.slice(0, shown))
  }

  #readable(ids: readonly string[]): SessionRow[] {
    return ids.flatMap((id) => {
      try {
        return this.session(id) ?? []
      } catch {
        // A row that cannot be read, or that a newer version wrote, must not stop the heartbeats of other sessions.
        return []
      }
    })
  }

  keys(prefix: string, of?: 'fence', after?: string, limit?: number): string[] {
    const range = after === undefined || after < prefix ? IDBKeyRange.lowerBound(prefix) : IDBKeyRange.lowerBound(after, true)
    const keys = this.#find('keys', () => this.#tx.objectStore(of ? fenceStore : records).getAllKeys(range, limit), [])
    return (keys as string[]).filter((key) => key.startsWith(prefix))
  }

  write({ outcomes, records: changed, sessions: rows, floor }: Changes): void {
    for (const key of refenced(outcomes)) {
      if (!changed.has(key)) continue
      if (!this.#tx.objectStoreNames.contains(fenceStore)) throw tooNarrow
      this.#writes.push([fenceStore, key, fenceRow(changed.get(key))])
    }
    for (const [key, record] of changed) {
      this.#writes.push([records, key, record && encodeRecord(record)])
      if (!record) this.#writes.push([fenceStore, key, undefined])
    }
    for (const [id, row] of rows) this.#writes.push([sessions, id, row && { expiresAt: row.expiresAt, text: encodeSession(row) }])
    if (floor) this.#writes.push([meta, 'floor', floor])
  }

  unfence(keys: readonly string[]): void {
    for (const key of keys) {
      const record = this.record(key)
      if (!record || isEmpty(record)) this.#writes.push([fenceStore, key, undefined])
    }
  }

  #get(store: string, key: string): unknown {
    const id = store + key
    return this.#find(id, () => this.#tx.objectStore(store).get(key), this.#memory.get(id))
  }

  /** The result of a request, or the guess for it. */
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

type Write = readonly [store: string, key: string, row: unknown]

/** Identifies a row among the rows of all object stores. */
const idOf = ([store, key]: Write): string => store + key

/** Identifies a row's value. */
const textOf = (row: unknown): unknown => (row as StoredSession | undefined)?.text ?? row
