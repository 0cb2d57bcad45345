import type { DBSchema, IDBPDatabase, IDBPObjectStore } from 'idb'
import { type Entry, type Ledger, StaleTokenError } from '../ledger.ts'

export interface LedgerSchema extends DBSchema {
  ledger: { key: number; value: Entry; indexes: { token: number } }
  newest: { key: 'token'; value: number }
}

/** For the `upgrade` callback of the database. */
export function upgradeLedger(db: IDBPDatabase<LedgerSchema>): void {
  db.createObjectStore('ledger', { keyPath: 'value' }).createIndex('token', 'token')
  db.createObjectStore('newest')
}

export interface PageLedger extends Ledger {
  /** The last writes, at most `count`, newest first. */
  latest(count: number): Promise<Entry[]>
}

/** A ledger in the same database as the lock that protects it. */
export function indexedDBLedger(db: IDBPDatabase<LedgerSchema>): PageLedger {
  type Entries = IDBPObjectStore<LedgerSchema, ('ledger' | 'newest')[], 'ledger', 'readwrite'>
  async function fenced<T>(token: number, step: (entries: Entries) => Promise<T>): Promise<T> {
    const tx = db.transaction(['ledger', 'newest'], 'readwrite', { durability: 'relaxed' })
    const newest = (await tx.objectStore('newest').get('token')) ?? 0
    if (newest > token) throw new StaleTokenError(token, newest)
    await tx.objectStore('newest').put(token, 'token')
    const result = await step(tx.objectStore('ledger'))
    // Only a complete transaction is an acknowledgement.
    await tx.done
    return result
  }

  return {
    read: (token) => fenced(token, async (entries) => (await entries.openKeyCursor(null, 'prev'))?.key ?? 0),
    async write(entry) {
      await fenced(entry.token, (entries) => entries.put(entry))
    },
    has: async (token) => (await db.countFromIndex('ledger', 'token', token)) > 0,
    entries: () => db.getAll('ledger'),
    async latest(count) {
      const last = (await db.transaction('ledger').store.openKeyCursor(null, 'prev'))?.key ?? 0
      return (await db.getAll('ledger', IDBKeyRange.lowerBound(last - count, true))).reverse()
    },
  }
}
