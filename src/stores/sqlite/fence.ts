import { decodeRecord, type Fenced, fencedOut, LockError, names } from '../../protocol/index.ts'
import type { SqliteDatabase, SqliteStatement } from './driver.ts'
import { inodeOf } from './file.ts'
import { areDropped } from './schema.ts'

/** Checks locks in transactions of any connection that has the locks' database open. */
export interface Fence {
  /**
   * Changes nothing, but takes the database's write lock: no session can take over the lock before this transaction ends. @throws LockError `lost` if
   * the tables are gone
   */
  take(db: SqliteDatabase, lock: Fenced): void
  /** @throws LockError `lost` unless the record names this exact grant */
  assertNamed(db: SqliteDatabase, lock: Fenced): void
}

interface Statements {
  /** The name that this connection has for the database with the locks. */
  readonly schema: string
  readonly take: SqliteStatement
  readonly find: SqliteStatement
}

/** @param file the file of the database with the locks; '' if it is in memory, on the connection `own` */
export function makeFence(own: SqliteDatabase, file: string): Fence {
  const prepared = new WeakMap<SqliteDatabase, Statements>()
  /** The texts of the records that were last found to name a lock. */
  const found = new WeakMap<Fenced, string>()

  const statementsOf = (db: SqliteDatabase): Statements => {
    const known = prepared.get(db)
    // Another database may have been attached under the name since.
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

  /** If the tables were dropped, no session holds a lock. */
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

/** Whether a connection is in a transaction; `undefined` if the driver cannot tell. */
export const inTransaction = (db: SqliteDatabase): boolean | undefined => db.inTransaction ?? db.isTransaction

/** How often to check whether a transaction that was left open has ended, in ms. */
const lookAgain = 10
/** The connections whose transactions protect a lock until they end. */
const protecting = new WeakMap<Fenced, Set<SqliteDatabase>>()

/**
 * Makes a lock outlast the user's transaction that has checked it. Most transactions are one step of code; one that is left open is checked again and
 * again.
 */
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
    // The connection was closed.
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
