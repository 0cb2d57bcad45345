import { tear } from './ends.ts'

/** How often an unanswered transaction is checked, in ms. */
const pause = 5_000
/** After how many checks an unanswered transaction is given up: a hung tab blocks others for a minute. */
const mostLooks = 24

/** How long to wait before another connection is tried again, in ms. */
const rest = 9_000
/** When another connection was last tried. */
const tried = new WeakMap<IDBDatabase, number>()

/** A transaction that waits for its turn, or was answered. */
export interface Turn {
  /** Called when the transaction was answered, so it does not hang. */
  answered(): void
  over(): void
}

interface Watched {
  readonly tx: IDBTransaction
  readonly giveUp: (error: DOMException) => void
  /** How many checks have found it unanswered. The first check may come right after its start, so it does not count. */
  looks: number
  overtaken: boolean
}

/** The transactions of a connection that are under way. One timer for all: one for each would take a tenth of a short transaction's time. */
class Watch {
  readonly #watched = new Set<Watched>()
  #timer: ReturnType<typeof setInterval> | undefined
  #quiet: (() => void) | undefined

  begin(own: Watched): void {
    this.#watched.add(own)
    this.#timer ??= setInterval(() => {
      this.rest()
      for (const each of [...this.#watched]) check(each)
    }, pause)
  }

  end(own: Watched): void {
    this.#watched.delete(own)
    if (!this.#watched.size) this.#quiet?.()
  }

  /** Resolves when no transaction is under way, or after `ms`. */
  async quiet(ms: number): Promise<void> {
    if (!this.#watched.size) return
    let timer: ReturnType<typeof setTimeout> | undefined
    await new Promise<void>((resolve) => {
      this.#quiet = resolve
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }

  rest(): void {
    if (this.#watched.size) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const watches = new WeakMap<IDBDatabase, Watch>()

/**
 * Makes sure that no caller waits for ever for a connection that no longer answers, which happens in Safari after a sleep. A transaction may have to
 * wait long for others, but so must every later one on the same object stores. If a later one on another connection is answered first, this
 * connection is broken, and is treated as closed by the browser.
 *
 * @param giveUp called when the transaction has waited too long, for whatever reason
 */
export function watchTurn(tx: IDBTransaction, giveUp: (error: DOMException) => void): Turn {
  const own: Watched = { tx, giveUp, looks: -1, overtaken: false }
  const watch = watches.get(tx.db) ?? new Watch()
  watches.set(tx.db, watch)
  watch.begin(own)
  return {
    answered() {
      own.looks = 0
      own.overtaken = false
    },
    over: () => watch.end(own),
  }
}

/** Stops the timer of an unused connection, unless transactions are under way. Without this call the timer would stop some seconds later. */
export const restTurns = (db: IDBDatabase): void => watches.get(db)?.rest()

/** Resolves when no transaction of a connection is under way, or after `ms`. Until then, a connection that was closed stays open. */
export const untilQuiet = async (db: IDBDatabase, ms: number): Promise<void> => watches.get(db)?.quiet(ms)

function check(own: Watched): void {
  own.looks += 1
  if (own.looks === 0) return
  // The transaction that overtook this one was answered a whole pause ago.
  if (own.overtaken) {
    tear(own.tx.db)
    return
  }
  tryAnother(own.tx, () => {
    own.overtaken = own.looks > 0
  })
  if (own.looks >= mostLooks) own.giveUp(new DOMException(`no answer for ${(mostLooks * pause) / 1_000} s`, 'TimeoutError'))
}

/** Makes a request on another connection that has to wait for the transaction. */
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
