/** The listeners for the end of a connection to a database. */
interface Ends {
  readonly torn: Set<() => void>
  readonly closing: Set<() => void>
}

const known = new WeakMap<IDBDatabase, Ends>()

function endsOf(db: IDBDatabase): Ends {
  const found = known.get(db)
  if (found) return found
  const ends: Ends = { torn: new Set(), closing: new Set() }
  known.set(db, ends)
  db.addEventListener('close', () => tear(db))
  return ends
}

/** Tells all listeners that a database was closed by force. */
export function tear(db: IDBDatabase): void {
  tell(endsOf(db).torn)
}

/**
 * Calls `torn` when the browser closes a database by force: its storage was cleared, or its disk failed. Chromium sends no event to pending
 * transactions then.
 * @returns how to stop listening
 */
export function onTorn(db: IDBDatabase, torn: () => void): () => void {
  const ends = endsOf(db)
  ends.torn.add(torn)
  return () => ends.torn.delete(torn)
}

/**
 * Calls `closing` right before the owner closes a database, while transactions can still be begun. There is no event for that, so this wraps the
 * handle's `close`.
 * @returns how to stop listening
 */
export function onClosing(db: IDBDatabase, closing: () => void): () => void {
  const ends = endsOf(db)
  if (!Object.hasOwn(db, 'close')) {
    const { close } = db
    const value = (): void => {
      tell(ends.closing)
      close.call(db)
    }
    Object.defineProperty(db, 'close', { value, configurable: true, writable: true })
  }
  ends.closing.add(closing)
  return () => ends.closing.delete(closing)
}

function tell(listeners: Iterable<() => void>): void {
  for (const listener of [...listeners]) listener()
}

/** The error of calls that were pending when the browser closed the database. */
export const tornError = (): DOMException => new DOMException('the browser has closed the connection to the database', 'InvalidStateError')
