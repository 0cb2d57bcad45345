import { Dexie, type EntityTable } from 'dexie'
import PouchDB from 'pouchdb-browser'
import { createLocks, type HeldLock } from 'storelock'
import { indexedDBStore, upgradeIndexedDB } from 'storelock/stores/indexeddb'

interface Note {
  readonly id: number
  readonly text: string
}

/** The object stores that a Dexie app declares, as in `docs/stores/indexeddb.md`. */
const lockStores = { 'storelock-records': '', 'storelock-sessions': ',expiresAt', 'storelock-fence': '', 'storelock-meta': '' }

const app = new Dexie('app') as Dexie & { notes: EntityTable<Note, 'id'> }
app.version(1).stores({ notes: 'id' })

const long = { duration: 60_000, maxBackoff: 60_000 }
const store = indexedDBStore(async () => (await app.open()).backendDB(), { name: 'app' })
const locks = createLocks({ store, ...long })
let lock: HeldLock | undefined

/** The schema of our object stores in a database. */
function shapeOf(db: IDBDatabase): unknown {
  const names = [...db.objectStoreNames].filter((name) => name.startsWith('storelock-'))
  const tx = db.transaction(names)
  return names.map((name) => {
    const { keyPath, autoIncrement, indexNames } = tx.objectStore(name)
    return { name, keyPath, autoIncrement, indexes: [...indexNames].map((index) => [index, tx.objectStore(name).index(index).keyPath]) }
  })
}

/** What tests call in the page, as the global `neighbours`. */
const exposed = {
  /** The error when a Dexie object is passed in place of its database. */
  misgive(): string {
    try {
      indexedDBStore(app as never)
    } catch (error) {
      return String(error)
    }
    return 'nothing'
  },
  /** Writes a note with the first version of the app, which has no locks. */
  async note(note: Note): Promise<void> {
    await app.open()
    await app.notes.put(note)
    app.close({ disableAutoOpen: false })
  },
  /** Declares the next versions of the app, up to this one. They have locks. */
  declare(version: number): void {
    for (let number = 2; number <= version; number++) app.version(number).stores({ notes: 'id', ...lockStores })
  },
  async shapes(): Promise<[dexies: unknown, ours: unknown]> {
    const request = indexedDB.open('prepared', 1)
    request.onupgradeneeded = () => upgradeIndexedDB(request.result)
    await new Promise((resolve) => (request.onsuccess = resolve))
    const shapes: [unknown, unknown] = [shapeOf((await app.open()).backendDB()), shapeOf(request.result)]
    request.result.close()
    return shapes
  },
  async take(): Promise<number> {
    lock = await locks.acquire('job')
    return lock.token
  },
  /** Writes a note under the lock. @returns `written` or the code of the error */
  write: (note: Note): Promise<string> =>
    store
      .transaction(lock as HeldLock, ['notes'], (tx) => void tx.objectStore('notes').put(note))
      .then(
        () => 'written',
        (error) => error.code,
      ),
  notes: (): Promise<Note[]> => app.notes.toArray(),
  open: async (): Promise<void> => void (await app.open()),
  /** Resolves with the code of the loss when the lock is lost. */
  lost: (): Promise<string> =>
    new Promise((resolve) => {
      const { signal } = lock as HeldLock
      if (signal.aborted) resolve(signal.reason.code)
      signal.addEventListener('abort', () => resolve(signal.reason.code))
    }),
  /** Counts in a PouchDB document. PouchDB refuses writers that have not seen the last revision. */
  async count(turns: number): Promise<number> {
    const pouch = new PouchDB<{ count: number }>('documents')
    const ours = createLocks({ store: indexedDBStore('locks') })
    let counted = 0
    for (let turn = 0; turn < turns; turn++) {
      await ours.request('counter', async () => {
        const last = await pouch.get('counter').catch(() => ({ _id: 'counter', count: 0 }))
        counted = last.count + 1
        await pouch.put({ ...last, count: counted })
      })
    }
    await ours.close()
    await pouch.close()
    return counted
  },
}

declare global {
  var neighbours: typeof exposed
}

globalThis.neighbours = exposed
