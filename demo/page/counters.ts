import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import { type IndexedDBStore, indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { type Counters, type Mode, modes, noTally, type Tally } from '../model/counters.ts'

interface Schema extends DBSchema {
  counters: { key: Mode; value: Tally }
}

type Database = IDBPDatabase<Schema>

/** The database of this demo: the counters, and the lock that protects one of them. */
export const openDatabase = (): Promise<Database> =>
  openDB<Schema>('storelock-demo', 1, {
    upgrade(db) {
      upgradeIndexedDB(db)
      db.createObjectStore('counters')
    },
  })

// Looks up `Date.now` on each call, since the demo replaces it.
export const storeIn = (db: Database): IndexedDBStore<Database> => indexedDBStore(db, { now: () => Date.now() })

/** The methods of a transaction's object store that the counters use. */
interface CounterStore {
  get(mode: Mode): Promise<Tally | undefined>
  put(tally: Tally, mode: Mode): Promise<unknown>
}

export function countersIn(db: Database, store: IndexedDBStore<Database>): Counters {
  async function put(counters: CounterStore, mode: Mode, value: number): Promise<Tally> {
    const { made } = (await counters.get(mode)) ?? noTally
    const tally = { value, made: made + 1 }
    await counters.put(tally, mode)
    return tally
  }

  return {
    read: async (mode) => (await db.get('counters', mode))?.value ?? 0,
    async write(mode, value) {
      const tx = db.transaction('counters', 'readwrite', { durability: 'relaxed' })
      const tally = await put(tx.store, mode, value)
      await tx.done
      return tally
    },
    writeFenced: (lock, value) => store.transaction(lock, ['counters'], (tx) => put(tx.objectStore('counters'), 'fenced', value)),
    async all() {
      const tallies = await Promise.all(modes.map(async (mode) => [mode, (await db.get('counters', mode)) ?? noTally]))
      return Object.fromEntries(tallies) as Record<Mode, Tally>
    },
  }
}
