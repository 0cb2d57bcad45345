import { type IDBPTransaction, unwrap } from 'idb'
import type { Outcome } from '../../protocol/commands.ts'
import { type Fenced, fencedOut } from '../../protocol/fence.ts'
import { type LockRecord, lastTokenOf } from '../../protocol/record.ts'

/** The object store that a transaction must include to be checked. Only grants and evictions write it. */
export const fenceStore = 'storelock-fence'

/** What {@link fenceStore} adds to the schema of your own database, if you give it one. */
export interface FenceSchema {
  readonly [fenceStore]: { key: string; value: unknown }
}

/** What is needed of an open transaction: the browser's own, or idb's. */
export interface OpenTransaction {
  readonly mode: IDBTransactionMode
  abort(): void
}

/** The browser's transaction behind one that idb may have wrapped. */
export const bareTransaction = (tx: OpenTransaction): IDBTransaction =>
  (unwrap(tx as unknown as IDBPTransaction) as IDBTransaction | undefined) ?? (tx as unknown as IDBTransaction)

/** Whom a key's last grant left as its holders: session, first and last token of each. */
type FenceRow = readonly (readonly [session: string, token: number, last: number])[]

export const fenceRow = (record: LockRecord | undefined): FenceRow | undefined =>
  record?.holders.map((holder) => [holder.session, holder.token, lastTokenOf(holder)])

/** The keys whose holders a batch has changed otherwise than by letting go, which each holder knows of itself. */
export const refenced = (outcomes: readonly Outcome[]): Set<string> =>
  new Set(
    outcomes.flatMap((outcome) => {
      if (!('grants' in outcome)) return []
      const { record, grants, evicted } = outcome
      return grants.length || evicted.length || (outcome.type === 'granted' && !outcome.repeated) ? [record.key] : []
    }),
  )

/**
 * Aborts a transaction unless the lock is held, and keeps it from being committed before that is known. From then on nobody else
 * can be granted the lock before it is complete, since a grant writes the object store that this transaction has.
 */
export function checkFence(tx: OpenTransaction, lock: Fenced): Promise<void> {
  const checked = check(bareTransaction(tx), lock)
  // Who does not wait for this hears of it from the transaction, which was aborted.
  checked.catch(() => {})
  return checked
}

async function check(tx: IDBTransaction, lock: Fenced): Promise<void> {
  if (tx.mode !== 'readwrite') throw new TypeError(`a transaction that is to be checked must be 'readwrite', not '${tx.mode}'`)
  if (!tx.objectStoreNames.contains(fenceStore)) throw new TypeError(`a transaction that is to be checked must include '${fenceStore}'`)
  try {
    lock.assertHeld()
  } catch (error) {
    abort(tx)
    throw error
  }
  const request: IDBRequest<FenceRow | undefined> = tx.objectStore(fenceStore).get(lock.key)
  const commit = holdBackCommit(tx)
  await new Promise<void>((resolve, reject) => {
    tx.addEventListener('abort', () => reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError')))
    request.onsuccess = () => {
      if (request.result?.some(([session, token, last]) => session === lock.session && token <= lock.token && lock.token <= last)) {
        commit()
        resolve()
      } else {
        reject(fencedOut(lock))
        abort(tx)
      }
    }
  })
}

/** A commit asked for before the check has passed would not wait for its answer. @returns how to let it happen */
function holdBackCommit(tx: IDBTransaction): () => void {
  let wanted = false
  tx.commit = () => {
    wanted = true
  }
  return () => {
    Reflect.deleteProperty(tx, 'commit')
    if (wanted) tx.commit()
  }
}

export function abort(tx: OpenTransaction): void {
  try {
    tx.abort()
  } catch {
    // It has ended already.
  }
}
