import { tear } from './ends.ts'

/** How often an unanswered transaction is checked, in ms. */
const pause = 5_000
/** After how many checks an unanswered transaction is given up: a hung tab holds up others for a minute. */
const mostLooks = 24

/** How long to wait before another connection is tried again, in ms. */
const rest = 9_000
/** When one was last tried. */
const tried = new WeakMap<IDBDatabase, number>()

/** A transaction that waits for its turn, or was answered. */
export interface Turn {
  /** It was answered, so it does not hang. */
  answered(): void
  over(): void
}

/**
 * Makes sure that nobody waits for ever for a connection that no longer answers, as Safari's may after a sleep. A transaction may have to wait long
 * for others; but so must any later one on the same object stores. If a later one on another connection is answered first, this connection is broken,
 * and is treated as closed by the browser.
 *
 * @param giveUp called when it has waited too long, for whatever reason
 */
export function watchTurn(tx: IDBTransaction, giveUp: (error: DOMException) => void): Turn {
  let looks = 0
  let overtaken = false
  const timer = setInterval(() => {
    looks += 1
    // The one that overtook it was answered a whole pause ago.
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

/** Asks on another connection for something that has to wait for the transaction. */
function tryAnother({ db, objectStoreNames }: IDBTransaction, answered: () => void): void {
  const now = performance.now()
  if (now < (tried.get(db) ?? -rest) + rest) return
  tried.set(db, now)
  const request = globalThis.indexedDB?.open(db.name)
  if (!request) return
  // The database is gone, and must not be created again.
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
