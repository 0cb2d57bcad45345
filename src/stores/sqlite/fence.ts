import { decodeRecord, type Fenced, fencedOut, LockError, names } from '../../protocol/index.ts'
import type { SqliteDatabase, SqliteStatement } from './driver.ts'
import { inodeOf } from './file.ts'
import { areDropped } from './schema.ts'

/** Asks in transactions of any connection that has the locks' database open. */
export interface Fence {
  /** Changes nothing, but takes the database's write lock: no take-over can commit before this transaction ends. @throws LockError `lost` if the tables are gone */
  take(db: SqliteDatabase, lock: Fenced): void
  /** @throws LockError `lost` unless the record names this very grant */
  assertNamed(db: SqliteDatabase, lock: Fenced): void
}

interface Statements {
  /** What this connection calls the database that has the locks. */
  readonly schema: string
  readonly take: SqliteStatement
  readonly find: SqliteStatement
}

/** @param file the database that has the locks; '' if that is the connection `own` itself */
export function makeFence(own: SqliteDatabase, file: string): Fence {
  const prepared = new WeakMap<SqliteDatabase, Statements>()
  /** The texts of the records that were last found to name a lock. */
  const found = new WeakMap<Fenced, string>()

  const statementsOf = (db: SqliteDatabase): Statements => {
    const known = prepared.get(db)
    // What stands behind an attached name may have changed since.
    if (known && (known.schema === 'main' || known.schema === schemaOf(db, own, file))) return known
    const schema = schemaOf(db, own, file)
    const quoted = `"${schema.replaceAll('"', '""')}"`
    const made = {
      schema,
      take: db.prepare(`UPDATE ${quoted}.storelock_records SET record = record WHERE 0`),
      find: db.prepare(
        `SELECT record FROM ${quoted}.storelock_records WHERE key = ? AND EXISTS (SELECT 1 FROM ${quoted}.storelock_sessions WHERE id = ?)`,
      ),
    }
    prepared.set(db, made)
    return made
  }

  /** What was dropped names nobody. */
  const unlessDropped = <T>(lock: Fenced, run: () => T): T => {
    try {
      return run()
    } catch (error) {
      throw areDropped(error) ? fencedOut(lock) : error
    }
  }

  return {
    take: (db, lock) => unlessDropped(lock, () => void statementsOf(db).take.run()),
    assertNamed(db, lock) {
      const row = unlessDropped(lock, () => statementsOf(db).find.get(lock.key, lock.session) as { record: string } | undefined)
      if (row && row.record === found.get(lock)) return
      if (!row || !names(decodeRecord(lock.key, row.record), lock)) throw fencedOut(lock)
      found.set(lock, row.record)
    },
  }
}

/** Whether a connection is in a transaction; `undefined` from a driver that does not tell. */
export const inTransaction = (db: SqliteDatabase): boolean | undefined => db.inTransaction ?? db.isTransaction

/** How often it is looked whether a transaction that was left open is over, in ms. */
const lookAgain = 10
/** The transactions' connections whose end a lock waits for. */
const protecting = new WeakMap<Fenced, Set<SqliteDatabase>>()

/** Has a lock outlast the user's transaction that has checked it. Most are one step of code; one that is left open is looked at again. */
export function protect(db: SqliteDatabase, lock: Fenced): void {
  const open = protecting.get(lock) ?? new Set()
  const checked = open.has(db) ? undefined : lock.checked?.(false)
  if (!checked) return
  protecting.set(lock, open.add(db))
  const look = (): void => {
    if (isOpen(db)) {
      setTimeout(look, lookAgain).unref()
      return
    }
    open.delete(db)
    checked.over()
  }
  setImmediate(look)
}

function isOpen(db: SqliteDatabase): boolean {
  try {
    return inTransaction(db) === true
  } catch {
    // It was closed.
    return false
  }
}

function schemaOf(db: SqliteDatabase, own: SqliteDatabase, file: string): string {
  if (db === own) return 'main'
  const inode = inodeOf(file)
  const open = db.prepare('PRAGMA database_list').all() as { name: string; file: string | null }[]
  const found = open.find((each) => each.file && inode !== undefined && inodeOf(each.file) === inode)
  if (!found) throw new LockError('invalid', `this connection cannot see the locks: open ${file || "the store's own handle"} in it, or attach it`)
  return found.name
}
