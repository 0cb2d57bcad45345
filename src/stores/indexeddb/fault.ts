import { LockError, storeError } from '../../protocol/errors.ts'

/** Explains an IndexedDB error, and says what to do about it if that is known. */
export function explain(error: unknown, database: string): LockError {
  const { name, message } = error as Partial<DOMException>
  const failed = `IndexedDB "${database}"`
  // Chromium's error when the user or a setting blocks the storage of a page, or of a frame from another site.
  if (name === 'SecurityError' || (name === 'UnknownError' && message?.includes('denied permission'))) {
    const why = `${failed} is denied to this page: let the site store data, and if it is a sandboxed frame, give it "allow-same-origin"`
    return new LockError('store', why, { cause: name === 'SecurityError' ? error : new DOMException(message, 'SecurityError') })
  }
  if (name === 'VersionError')
    return storeError(error, `${failed} has a higher version than a database for locks alone: give indexedDBStore another name, or this one, open`)
  return storeError(error, `${failed} ${name === 'QuotaExceededError' ? 'has no room left: the quota of this origin is used up' : 'failed'}`)
}

/**
 * What to do about a failed transaction. `anew`: connect again, because this connection is broken; in Safari, every request fails like this once its
 * server process has gone. `retry`: run the transaction again, because the engine aborted it by itself, as Safari does when a page is hidden.
 */
export function failsAnew(error: unknown): { anew: boolean; retry: boolean } {
  const { name } = error as Partial<Error>
  return { anew: name === 'UnknownError', retry: name === 'AbortError' }
}

/** @throws LockError `store` if the engine has no IndexedDB */
export function assertIndexedDB(database: string): void {
  if (typeof indexedDB !== 'undefined') return
  throw new LockError(
    'store',
    `there is no IndexedDB here for the database "${database}": use a page or a worker that has it, or memoryStore() for locks within this context`,
  )
}
