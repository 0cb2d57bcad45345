import { openDB } from 'idb'
import { runBatch } from '../protocol/batch.ts'
import { schemaVersion } from '../protocol/codec.ts'
import type { Command } from '../protocol/commands.ts'
import { LockError, storeError } from '../protocol/errors.ts'
import type { LockView, SessionRow } from '../protocol/record.ts'
import type { Store } from '../store.ts'
import { ask, bare, type Memory, type OpenDatabase, objectStores, type Rows, upgradeIndexedDB } from './indexeddb/rows.ts'

export { type OpenDatabase, upgradeIndexedDB } from './indexeddb/rows.ts'

export interface IndexedDBStoreOptions {
  /** `relaxed` resolves when the system has a change, `strict` when the disk has it. Default `relaxed`. */
  durability?: IDBTransactionDurability
  /** Wall time in ms since 1970. Default `Date.now`. */
  now?: () => number
}

/**
 * A store in IndexedDB, shared by the tabs and workers of an origin.
 *
 * @param database the name of a database for locks alone; or your own, open and prepared by {@link upgradeIndexedDB}.
 * Yours stays yours: nothing keeps it open, and once you have closed it the store fails.
 */
export function indexedDBStore(database: string | OpenDatabase, { durability = 'relaxed', now = Date.now }: IndexedDBStoreOptions = {}): Store {
  const named = typeof database === 'string'
  const name = named ? database : database.name
  let connection: Promise<IDBDatabase> | undefined
  let closed = false
  const memory: Memory = new Map()

  const open = async (): Promise<IDBDatabase> => {
    // Whoever deletes or upgrades the database must not wait for us.
    const blocking = (_from: number, _to: number | null, { target }: Event) => (target as IDBDatabase).close()
    const db = bare(named ? await openDB(name, schemaVersion, { upgrade: upgradeIndexedDB, blocking }) : database)
    const fault = await faultOf(db)
    if (!fault) return db
    if (named) db.close()
    throw new LockError('store', `IndexedDB "${name}" ${fault}`)
  }

  const begin = async (mode: IDBTransactionMode, again = named): Promise<IDBTransaction> => {
    if (closed) throw new LockError('closed', 'the store was closed')
    connection ??= open()
    const opening = connection
    try {
      return (await opening).transaction(objectStores, mode, { durability })
    } catch (error) {
      if (connection === opening) connection = undefined
      // A database that was closed, by the browser or to make way, is opened again.
      if (!again || (error as Error).name !== 'InvalidStateError') throw error
      return begin(mode, false)
    }
  }

  const transact = async <T>(mode: IDBTransactionMode, question: (rows: Rows) => T): Promise<T> => {
    try {
      return await ask(await begin(mode), question, memory)
    } catch (error) {
      const full = (error as Error).name === 'QuotaExceededError'
      throw storeError(error, `IndexedDB "${name}" ${full ? 'has no room left: the quota of this origin is used up' : 'failed'}`)
    }
  }

  return {
    async apply(commands) {
      // A page that is being left hears no answer any more: what needs none goes ahead of the rest, which may never be done.
      const sessions = leaving(commands)
      const goodbye = { outcomes: [], records: new Map(), sessions, floor: undefined }
      if (sessions.size) transact('readwrite', (rows) => rows.write(goodbye)).catch(() => {})

      const time = now()
      return transact('readwrite', (rows) => {
        const changes = runBatch(commands, {
          now: time,
          get floor() {
            return rows.floor
          },
          record: (key) => rows.record(key),
          session: (id) => rows.session(id),
          stale: () => rows.expired(time),
        })
        rows.write(changes)
        return changes.outcomes
      })
    },
    read: (key) => transact('readonly', (rows) => viewOf(rows, key)),
    list: (prefix = '') => transact('readonly', (rows) => rows.keys(prefix).flatMap((key) => viewOf(rows, key) ?? [])),
    async close() {
      closed = true
      if (named) connection?.then((db) => db.close()).catch(() => {})
    },
  }
}

/** The rows to delete if these commands are a goodbye: they end sessions, and let go of what those had. */
const leaving = (commands: readonly Command[]): Map<string, undefined> =>
  new Map(
    commands.every(({ type }) => type === 'end' || type === 'release' || type === 'withdraw')
      ? commands.flatMap((command) => (command.type === 'end' && command.seq === undefined ? [[command.session, undefined]] : []))
      : [],
  )

/** Why a database cannot be used, if so. */
async function faultOf(db: IDBDatabase): Promise<string | undefined> {
  if (!objectStores.every((store) => db.objectStoreNames.contains(store))) {
    return 'lacks the object stores for locks: call upgradeIndexedDB(db) in its upgrade callback'
  }
  const version = await ask(db.transaction(objectStores), (rows) => rows.version())
  return version && version > schemaVersion ? `was made by a newer storelock (format ${version}): update storelock` : undefined
}

function viewOf(rows: Rows, key: string): LockView | undefined {
  const found = rows.record(key)
  if (!found) return undefined
  const sessions: Record<string, SessionRow> = {}
  for (const { session: id } of [...found.holders, ...found.queue]) {
    const row = rows.session(id)
    if (row) sessions[id] = row
  }
  return { ...found, sessions }
}
