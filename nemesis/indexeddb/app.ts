import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import { upgradeIndexedDB } from 'storelock/stores/indexeddb'
import type { Write } from '../history.ts'

export const databaseName = 'nemesis'

interface Schema extends DBSchema {
  rows: { key: string; value: Write }
  log: { key: number; value: Write }
  ballast: { key: number; value: string }
}
type Database = IDBPDatabase<Schema>
export type Transaction = IDBPTransaction<Schema, ('rows' | 'log')[], 'readwrite'>

/** How long an app waits before it tries again to open its database, in ms. */
const pause = 20
/** How long an app waits for its database to open, in ms. */
const patience = 10_000

const prefix = 'life '
/** The name of one life of a database, from its creation to its deletion. It is in the name of an object store, so no transaction is needed. */
export const lifeOf = ({ objectStoreNames }: Pick<IDBDatabase, 'objectStoreNames'>): string =>
  [...objectStoreNames].find((name) => name.startsWith(prefix))?.slice(prefix.length) ?? ''

interface Opened {
  readonly db: Database
  /** Rejects when the database is closed. */
  readonly closed: Promise<never>
}

/** A page's own database, with its locks. It is closed when another page deletes or upgrades it, and always opened again. */
export class App {
  /** The life of the database that the store was given last. */
  given = ''
  #opened: Promise<Opened> = this.#open()
  readonly #stuck: () => void

  /** @param stuck is called when the page must be reloaded */
  constructor(stuck: () => void) {
    this.#stuck = stuck
  }

  /** The function that is passed to the store. */
  readonly give = async (): Promise<Database> => {
    const { db } = await this.#opened
    this.given = lifeOf(db)
    return db
  }

  /** Uses the database. Rejects if it does not open, or is closed meanwhile. */
  async use<T>(does: (db: Database) => Promise<T>): Promise<T> {
    const { db, closed } = await this.#openedInTime()
    return Promise.race([does(db), closed])
  }

  /** After a page's storage was cleared, its IndexedDB in Chromium sometimes never answers until the page is reloaded. */
  #openedInTime(): Promise<Opened> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new DOMException('the database does not open', 'TimeoutError'))
        this.#stuck()
      }, patience)
      this.#opened.then(resolve).finally(() => clearTimeout(timer))
    })
  }

  async upgrade(): Promise<void> {
    const { db } = await this.#openedInTime()
    const next = await openDB(databaseName, db.version + 1, { upgrade: (_, __, ___, tx) => void tx.done.catch(() => {}) })
    next.close()
  }

  async #open(): Promise<Opened> {
    for (;;) {
      try {
        return await this.#tryToOpen()
      } catch {
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }

  async #tryToOpen(): Promise<Opened> {
    let close = (): void => {}
    const closed = new Promise<never>((_, reject) => {
      close = () => {
        reject(new DOMException('the app has closed its database', 'InvalidStateError'))
        this.#opened = this.#open()
      }
    })
    closed.catch(() => {})
    const db = await openDB<Schema>(databaseName, undefined, {
      upgrade(fresh, _, __, tx) {
        // If this transaction fails, the next try creates the database.
        tx.done.catch(() => {})
        upgradeIndexedDB(fresh)
        fresh.createObjectStore('rows')
        fresh.createObjectStore('log', { autoIncrement: true })
        fresh.createObjectStore('ballast')
        ;(fresh as IDBPDatabase<unknown>).createObjectStore(`${prefix}${crypto.randomUUID()}`)
      },
      blocking(_, __, { target }) {
        ;(target as IDBDatabase).close()
        close()
      },
      terminated: () => close(),
    })
    return { db, closed }
  }
}
