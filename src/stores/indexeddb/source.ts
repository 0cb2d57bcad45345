import { schemaVersion } from '../../protocol/codec.ts'
import { LockError } from '../../protocol/errors.ts'
import { ask } from './ask.ts'
import { assertIndexedDB } from './fault.ts'
import { bare, type OpenDatabase, scopes, upgradeIndexedDB } from './rows.ts'

/** The pause between calls of an app's function, until it returns the database that the app has opened again, in ms. */
const pause = 50

/** An open database: the browser's own object, and the app's. */
export interface Handle {
  readonly db: IDBDatabase
  readonly theirs: OpenDatabase
}

/** Where a store gets its database from. */
export interface Source {
  /** The database's name. */
  readonly name: string
  /** Whether the store opens and closes the database itself. */
  readonly owned: boolean
  /** Resolves with an open database. `closed` tells whether a database is known to be closed; `wanted` turns false once the caller has given up. */
  open(closed: (db: IDBDatabase) => boolean, wanted: () => boolean): Promise<Handle>
}

/** What a store was given: the name of a database of its own, the app's open one, or a function that returns it. */
export type Given = string | OpenDatabase | (() => OpenDatabase | PromiseLike<OpenDatabase>)

/** @throws TypeError if it is not a database, or its name was not given and cannot be known yet */
export function sourceOf(given: Given, name: string | undefined): Source {
  if (typeof given === 'string') return named(given)
  if (typeof given !== 'function') return fixed(given)
  // If there is a name, the function is not called before the store is used: servers load the modules of pages too.
  const known = name ?? (given() as Partial<OpenDatabase> | undefined)?.name
  if (typeof known === 'string') return asked(known, given)
  throw new TypeError('indexedDBStore needs the `name` of a database that is not open yet: indexedDBStore(() => db, { name })')
}

const newer = 'was made by a newer storelock: update storelock'
/** The version alone does not show what made it. */
const higher = 'has a higher version: if a newer storelock made it, update storelock; if something else did, give indexedDBStore another name'

const named = (name: string): Source => ({
  name,
  owned: true,
  open: () =>
    new Promise((resolve, reject) => {
      assertIndexedDB(name)
      const request = indexedDB.open(name, schemaVersion)
      request.onupgradeneeded = () => upgradeIndexedDB(request.result)
      request.onsuccess = () => resolve({ db: request.result, theirs: request.result })
      request.onerror = () => {
        const { error } = request
        reject(error?.name === 'VersionError' ? new LockError('store', `IndexedDB "${name}" ${higher}`, { cause: error }) : error)
      }
    }),
})

function fixed(database: OpenDatabase): Source {
  const db = bare(database)
  return {
    name: db.name,
    owned: false,
    async open(closed) {
      if (!closed(db)) return { db, theirs: database }
      throw new LockError(
        'closed',
        `IndexedDB "${db.name}" was closed: give indexedDBStore a function that returns it, as in indexedDBStore(() => db), to go on once your app has opened it again`,
        { cause: new DOMException('the database is closed', 'InvalidStateError') },
      )
    },
  }
}

const asked = (name: string, given: () => OpenDatabase | PromiseLike<OpenDatabase>): Source => ({
  name,
  owned: false,
  async open(closed, wanted) {
    for (;;) {
      const theirs = await given()
      const db = bare(theirs)
      if (!closed(db) || !wanted()) return { db, theirs }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  },
})

/** Why a database cannot be used, and what to do; `undefined` if it can be used. */
export async function faultOf(db: IDBDatabase, { owned }: Source): Promise<string | undefined> {
  if (!scopes.change.every((store) => db.objectStoreNames.contains(store))) {
    const remedy = owned
      ? 'something else made it, so give indexedDBStore another name, or this database, open'
      : 'open it with a higher version, and call upgradeIndexedDB(db) in the upgrade callback, after all that deletes object stores there'
    return `lacks the object stores for locks: ${remedy}`
  }
  const version = await ask(db.transaction(scopes.renew), (rows) => rows.version())
  return version && version > schemaVersion ? `${newer} (format ${version})` : undefined
}
