import { LockError } from '../../protocol/errors.ts'
import { onClosing, onTorn } from './ends.ts'
import { faultOf, type Handle, type Source } from './source.ts'
import { restTurns, untilQuiet } from './turn.ts'

/** How long a database may take to open, in ms. */
const patience = 5_000

/** How long `close` waits for transactions that are under way, in ms. */
const parting = 1_000

/** Events that a connection reports to its store. */
interface News {
  /** Sessions must end, because their rows may be gone. While `isOpen` is true they can still write that they end. */
  lost(why: string): void
  /** The engine has closed the connection by itself, for example because the storage was cleared. Called before `lost`. */
  torn(): void
  /** The database does not open. */
  stalled(why: string): void
}

/** A store's connection to its database: opened at the first use, and again after it was closed. */
export class Connection {
  readonly #source: Source
  readonly #news: News
  /** Databases that are not open any more. */
  readonly #gone = new WeakSet<IDBDatabase>()
  /** Stops listening to a database. */
  readonly #ignore = new WeakMap<IDBDatabase, () => void>()
  #handle: Handle | undefined
  #opening: Promise<Handle> | undefined
  /** End the current opening. */
  #take: ((handle: Handle) => void) | undefined
  #fail: ((error: unknown) => void) | undefined
  #closed = false

  constructor(source: Source, news: News) {
    this.#source = source
    this.#news = news
  }

  get isOpen(): boolean {
    return this.#handle !== undefined
  }

  /** Runs `start` on the open database. If it is open already, `start` runs before this method returns. */
  begin<T>(start: (handle: Handle) => T): T | Promise<T> {
    if (this.#closed) throw new LockError('closed', 'the store was closed')
    const handle = this.#handle
    if (handle) {
      try {
        return start(handle)
      } catch (error) {
        if (!isClosed(error)) throw error
        this.#end(handle, 'its database was closed', false)
      }
    }
    return this.#open().then(start)
  }

  /** Makes the next call open the database again, if the store owns it, because the engine says that this connection is broken. */
  renew(): void {
    const handle = this.#handle
    if (!handle || !this.#source.owned) return
    this.#news.torn()
    this.#handle = undefined
    this.#letGo(handle)
  }

  /**
   * Makes calls that wait for the database reject with `closed`. Resolves when the database is closed and blocks no deletion, or after `parting` ms.
   */
  async close(): Promise<void> {
    this.#closed = true
    this.#fail?.(new LockError('closed', 'the store was closed'))
    const handle = this.#handle
    this.#handle = undefined
    if (!handle) return
    this.#letGo(handle)
    if (!this.#source.owned) return
    await untilQuiet(handle.db, parting)
    restTurns(handle.db)
  }

  #open(): Promise<Handle> {
    this.#opening ??= new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#opening = this.#take = this.#fail = undefined
      }
      const fail = (error: unknown): void => {
        if (this.#fail !== fail) return
        end()
        reject(error)
      }
      const timer = setTimeout(() => {
        const error = notOpened(this.#source)
        this.#news.stalled(error.message)
        fail(error)
      }, patience)
      this.#fail = fail
      this.#take = (handle) => {
        end()
        this.#handle = handle
        resolve(handle)
      }
      this.#connect(() => this.#fail === fail).catch(fail)
    })
    return this.#opening
  }

  /**
   * A request to open cannot be cancelled. If its caller has given up, a later call takes the database that it opens; otherwise the database is let
   * go.
   */
  async #connect(wanted: () => boolean): Promise<void> {
    do {
      const handle = await this.#source.open((db) => this.#gone.has(db), wanted)
      const { db } = handle
      this.#listen(handle)
      const fault = await this.#faultOf(db)
      if (fault !== undefined) {
        this.#letGo(handle)
        throw new LockError('store', `IndexedDB "${this.#source.name}" ${fault}`)
      }
      // The database may have been closed meanwhile.
      if (this.#gone.has(db)) continue
      if (this.#take) this.#take(handle)
      else if (this.#handle?.db !== db) this.#letGo(handle)
      return
    } while (wanted())
  }

  async #faultOf(db: IDBDatabase): Promise<string | undefined> {
    try {
      return await faultOf(db, this.#source)
    } catch (error) {
      if (!isClosed(error)) throw error
      this.#gone.add(db)
      return undefined
    }
  }

  #listen(handle: Handle): void {
    const { db } = handle
    if (this.#ignore.has(db)) return
    const torn = onTorn(db, () => {
      this.#end(handle, 'the browser has closed its database', false)
      // A connection that we consider broken is still open.
      if (this.#source.owned) db.close()
    })
    if (!this.#source.owned) {
      const closing = onClosing(db, () => this.#end(handle, 'the app has closed its database'))
      this.#ignore.set(db, () => {
        torn()
        closing()
      })
      return
    }
    this.#ignore.set(db, torn)
    // An upgrade or deletion by another tab must not wait for us.
    db.addEventListener('versionchange', () => {
      this.#end(handle, 'its database is being deleted or upgraded')
      db.close()
    })
  }

  /** @param speaks whether transactions can still be begun */
  #end(handle: Handle, why: string, speaks = true): void {
    const { db } = handle
    if (this.#gone.has(db)) return
    this.#gone.add(db)
    this.#hearNoMore(db)
    if (!speaks) this.#news.torn()
    if (this.#handle !== handle) return
    if (!speaks) this.#handle = undefined
    this.#news.lost(why)
    if (this.#handle === handle) this.#handle = undefined
  }

  #letGo({ db }: Handle): void {
    this.#hearNoMore(db)
    if (this.#source.owned) db.close()
  }

  #hearNoMore(db: IDBDatabase): void {
    this.#ignore.get(db)?.()
    this.#ignore.delete(db)
    restTurns(db)
  }
}

const isClosed = (error: unknown): boolean => (error as Error).name === 'InvalidStateError'

function notOpened({ name, owned }: Source): LockError {
  const why = owned
    ? 'it is blocked, for example by a tab that keeps it open during an upgrade or a deletion'
    : 'the function that indexedDBStore was given has returned no open one: the app has not opened it again, or is blocked by another tab'
  const cause = new DOMException(
    owned ? 'the request to open it is blocked' : 'the app has no open database',
    owned ? 'BlockedError' : 'InvalidStateError',
  )
  return new LockError('store', `IndexedDB "${name}" did not open within ${patience} ms: ${why}`, { cause })
}
