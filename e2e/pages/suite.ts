import { deleteDB, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'
import { type StorePlace, storeSuite } from 'storelock/testing'

/** The database that the suite's store uses: its own, or a user's. */
export type PlaceKind = 'own' | 'user'

/** Runs one test of the store suite in this page. Rejects if the test fails. */
export async function runFact(kind: PlaceKind, name: string): Promise<void> {
  const fact = storeSuite(() => makePlace(kind)).find((each) => each.name === name)
  if (!fact) throw new Error(`the suite has no fact "${name}"`)
  await fact.run()
}

let places = 0

async function makePlace(kind: PlaceKind): Promise<StorePlace> {
  // Pages share their databases, and not all have `crypto.randomUUID`.
  const name = `suite ${Math.random()} ${places++}`
  const upgrade = (db: IDBPDatabase): void => {
    db.createObjectStore('notes')
    upgradeIndexedDB(db)
  }
  const users = kind === 'user' ? await openDB(name, 7, { upgrade }) : undefined
  const within = async <T>(use: (db: IDBPDatabase) => Promise<T>): Promise<T> => {
    const db = await openDB(name)
    try {
      return await use(db)
    } finally {
      db.close()
    }
  }
  return {
    open: () => indexedDBStore(users ?? name),
    corrupt: (key) => within(async (db) => void (await db.put('storelock-records', 'rubbish', key))),
    raw: (key) => within((db) => db.get('storelock-records', key)),
    ...(users && {
      fence: {
        write: (tx: IDBPTransaction<unknown, string[], 'readwrite'>, text: string) => tx.objectStore('notes').put(text, 'note'),
        written: () => users.get('notes', 'note'),
      },
    }),
    async remove() {
      users?.close()
      await deleteDB(name)
    },
  }
}
