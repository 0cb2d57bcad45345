import type { Outcome } from '../../protocol/commands.ts'
import { bodyOf, type Fenced, fencedOut } from '../../protocol/fence.ts'
import { emptyRecord, type Holder, type LockRecord, lastTokenOf } from '../../protocol/record.ts'
import { onTorn, tornError } from './ends.ts'
import { nativeOf } from './native.ts'
import { watchTurn } from './turn.ts'

/** The object store that a transaction must include to be checked. Only grants and evictions write it. */
export const fenceStore = 'storelock-fence'

/** What {@link fenceStore} adds to the schema of your own database. */
export interface FenceSchema {
  readonly [fenceStore]: { key: string; value: unknown }
}

/** The parts of an open transaction, the browser's own or idb's, that the store uses. */
export interface OpenTransaction {
  readonly mode: IDBTransactionMode
  /** Only idb's transactions have it. */
  readonly done?: Promise<void> | undefined
  abort(): void
}

/** The browser's transaction inside one that idb may have wrapped. */
const bareTransaction = (tx: OpenTransaction): IDBTransaction => ('done' in tx ? nativeOf(tx) : tx) as IDBTransaction

/** A key's holders after its last grant: session, first and last token of each. */
type FenceRow = readonly (readonly [session: string, token: number, last: number])[]

export const fenceRow = (record: LockRecord | undefined): FenceRow | undefined =>
  record?.holders.map((holder) => [holder.session, holder.token, lastTokenOf(holder)])

/** The record that a row was made from, as far as the row shows. */
export function unfenced(key: string, row: unknown, floor: number): LockRecord | undefined {
  const holders = (row as FenceRow | undefined)?.map(
    ([session, token, last]): Holder => ({
      session,
      client: '',
      mode: 'exclusive',
      number: 0,
      token,
      previous: 0,
      reserve: last - token,
      expiresAt: 0,
    }),
  )
  return holders && { ...emptyRecord(key, Math.max(floor, ...holders.map(lastTokenOf))), holders }
}

/**
 * The keys of the fence rows that a batch has to write: those of records with changed holders, except by a release, which the holder itself knows of,
 * and those of pinned locks. So every record that is not empty has a row.
 */
export const refenced = (outcomes: readonly Outcome[]): Set<string> =>
  new Set(
    outcomes.flatMap((outcome) => {
      if (!('grants' in outcome)) return []
      const { record, grants, evicted } = outcome
      const granted = grants.length > 0 || (outcome.type === 'granted' && !outcome.repeated)
      return granted || evicted.length || record.pins.length ? [record.key] : []
    }),
  )

/**
 * Aborts a transaction unless the lock is held, and prevents its commit until that is known. From then on no other session can be granted the lock
 * before the transaction is complete, since a grant writes the object store that this transaction has locked.
 */
export function checkFence(tx: OpenTransaction, lock: Fenced): Promise<void> {
  const checked = check(bareTransaction(tx), lock, () => {})
  // A caller that does not await this still notices that the transaction was aborted.
  checked.catch(() => {})
  return checked
}

/**
 * @param protecting gets a promise that resolves once a long transaction has ended and it is known again whether the lock is held
 * @param end the end of the transaction, if the caller already listens for it: see {@link endOf}
 */
async function check(tx: IDBTransaction, lock: Fenced, protecting: (known: Promise<void>) => void, end?: Promise<void>): Promise<void> {
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
  const ended = end ?? endOf(tx)
  await new Promise<void>((resolve, reject) => {
    const turn = watchTurn(tx, (error) => {
      // The rest of the transaction may take as long as it likes.
      if (request.readyState === 'done') return
      turn.over()
      abort(tx)
      reject(error)
    })
    ended.then(turn.over, (error) => {
      turn.over()
      reject(error)
    })
    request.onsuccess = () => {
      if (request.result?.some(([session, token, last]) => session === lock.session && token <= lock.token && lock.token <= last)) {
        const checked = lock.checked?.(false)
        // The lock outlasts the transaction. Heartbeats go on meanwhile, unless they have to wait for a command that waits for the transaction.
        if (checked) protecting(ended.catch(() => {}).then(() => checked.over()))
        commit()
        resolve()
      } else {
        reject(fencedOut(lock))
        abort(tx)
      }
    }
  })
}

/** Delays a commit, because one that is requested before the check has passed would not wait for its answer. @returns how to allow the commit */
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

/**
 * Runs a body in a transaction that is committed only if the lock is held. Resolves with the body's result when the transaction is complete.
 * @param explain wraps an error that is not the body's own
 */
export async function runFenced<Tx extends OpenTransaction, T>(
  tx: Tx,
  lock: Fenced,
  body: (tx: Tx) => T,
  explain: (error: unknown) => unknown,
): Promise<Awaited<T>> {
  const bare = bareTransaction(tx)
  const ended = endOf(bare)
  tx.done?.catch(() => {})
  const theirs = bodyOf(body)
  const run = async () => await theirs.run(tx)
  try {
    let known: Promise<void> | undefined
    const noteKnown = (promise: Promise<void>): void => {
      known = promise
    }
    const checked = check(bare, lock, noteKnown, ended)
    // A body that waits for a request that a broken connection never answers must not keep its caller waiting.
    const [, result] = await Promise.race([Promise.all([checked, run()]), ended.then(() => new Promise<never>(() => {}))])
    commit(bare)
    await ended
    await known
    return result
  } catch (error) {
    abort(tx)
    throw theirs.threw(error) ? error : explain(error)
  }
}

/** Commits a transaction without waiting for it to become idle. */
function commit(tx: IDBTransaction): void {
  try {
    tx.commit()
  } catch {
    // The transaction has ended already, or will end by itself.
  }
}

/** Resolves when a transaction is complete, and rejects with the reason if it never will be. The rejection need not be handled. */
function endOf(tx: IDBTransaction): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    const forget = onTorn(tx.db, () => {
      forget()
      reject(tornError())
    })
    tx.addEventListener('complete', () => {
      forget()
      resolve()
    })
    tx.addEventListener('abort', () => {
      forget()
      reject(tx.error ?? new DOMException('the transaction was aborted', 'AbortError'))
    })
  })
  ended.catch(() => {})
  return ended
}

/** Aborts a transaction, if it has not ended. */
export function abort(tx: OpenTransaction): void {
  try {
    tx.abort()
  } catch {
    // The transaction has ended already.
  }
}
