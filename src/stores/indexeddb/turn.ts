import { tear } from './ends.ts'

/** How often it is looked after a transaction that is not answered, in ms. */
const pause = 5_000
/** For how many looks one may wait for those of others: a tab that hangs holds up others for a minute. */
const mostLooks = 24

/** How long no other connection is tried after one was, in ms. */
const rest = 9_000
/** When one was tried, for these. */
const tried = new WeakMap<IDBDatabase, number>()

/** A transaction that waits for its turn, or is answered. */
export interface Turn {
  /** It was answered, so it does not hang. */
  answered(): void
  over(): void
}

/**
 * Sees to it that nobody waits for ever for a connection that does not answer any more, as Safari's may be after a sleep.
 * A transaction may have to wait long for those of others. But so must any that is begun later on the same object stores: where such a one
 * is answered first, on another connection, this one is broken, and is taken for one that the browser has closed.
 *
 * @param giveUp hears that it has waited for too long, for whatever it was
 */
export function watchTurn(tx: IDBTransaction, giveUp: (error: DOMException) => void): Turn {
  let looks = 0
  let overtaken = false
  const timer = setInterval(() => {
    looks += 1
    // What overtook it was told a whole pause ago.
    if (overtaken) return tear(tx.db)
    tryAnother(tx, () => {
      overtaken = looks > 0
    })
    if (looks > mostLooks) giveUp(new DOMException(`no answer for ${(mostLooks * pause) / 1_000} s`, 'TimeoutError'))
  }, pause)
  return {
    answered() {
      looks = 0
      overtaken = false
    },
    over: () => clearInterval(timer),
  }
}

/** Asks on another connection for what has to wait for a transaction. */
function tryAnother({ db, objectStoreNames }: IDBTransaction, answered: () => void): void {
  const now = performance.now()
  if (now < (tried.get(db) ?? -rest) + rest) return
  tried.set(db, now)
  const request = globalThis.indexedDB?.open(db.name)
  if (!request) return
  // The database is gone, and must not be made again.
  request.onupgradeneeded = () => request.transaction?.abort()
  request.onsuccess = () => {
    const other = request.result
    const close = (): void => other.close()
    other.onversionchange = close
    try {
      const names = [...objectStoreNames]
      const tx = other.transaction(names)
      tx.objectStore(names[0] as string).get('').onsuccess = answered
      tx.oncomplete = tx.onabort = close
    } catch {
      close()
    }
  }
}
