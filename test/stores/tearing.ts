import { forceCloseDatabase } from 'fake-indexeddb'
import { vi } from 'vitest'

/** The internals of fake-indexeddb that are used here. */
interface Begun {
  readonly db: IDBDatabase & { _rawDatabase: { transactions: Begun[]; processTransactions(): void } }
  _state: string
  _requests: unknown[]
  _rollbackLog: (() => void)[]
}

/** Closes a database by force like Chromium: open transactions are undone, without a complete or abort event. */
export function tear(db: IDBDatabase): void {
  const raw = (db as Begun['db'])._rawDatabase
  for (const tx of raw.transactions) {
    if (tx.db !== db || tx._state === 'finished') continue
    for (const undo of tx._rollbackLog.reverse()) undo()
    tx._state = 'finished'
    tx._requests.length = 0
  }
  forceCloseDatabase(db as never)
  raw.processTransactions()
}

/** Counts the steps of databases from now on, and tears the database of step number `at`. @returns a function that gives the number of steps */
export function tearAt(at: number): () => number {
  let steps = 0
  const step = (db: IDBDatabase): void => {
    steps += 1
    if (steps === at) queueMicrotask(() => tear(db))
  }
  const { transaction } = IDBDatabase.prototype
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    const tx = transaction.apply(this, args)
    // fake-indexeddb uses this method to begin upgrades as well.
    if (tx.mode === 'versionchange') return tx
    step(this)
    tx.addEventListener('complete', () => step(this))
    return tx
  })
  for (const name of ['get', 'put'] as const) {
    const original = IDBObjectStore.prototype[name] as (...args: unknown[]) => IDBRequest
    vi.spyOn(IDBObjectStore.prototype, name).mockImplementation(function (this: IDBObjectStore, ...args: unknown[]) {
      const request = original.apply(this, args)
      const { db, mode } = this.transaction
      if (mode !== 'versionchange') request.addEventListener('success', () => step(db))
      return request as never
    })
  }
  return () => steps
}

/** Makes a connection stop answering: its transactions neither proceed nor end. */
export function hang(db: IDBDatabase): void {
  const silent = (): EventTarget => new Proxy(new EventTarget(), { get: (target, name) => Reflect.get(target, name) ?? silent })
  db.transaction = (scope: string | Iterable<string>, mode: IDBTransactionMode = 'readonly') => {
    const names = typeof scope === 'string' ? [scope] : [...scope]
    const objectStoreNames = Object.assign(names, { contains: (name: string) => names.includes(name) })
    return Object.assign(new EventTarget(), { db, mode, objectStoreNames, objectStore: silent, abort() {}, commit() {} }) as never
  }
}
