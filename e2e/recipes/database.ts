import init, { type OpfsSAHPoolDatabase, type SAHPoolUtil } from '@sqlite.org/sqlite-wasm'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

export interface OpenDatabase {
  readonly db: OpfsSAHPoolDatabase
  /** Aborts when another tab waits for the database, or when the lock is lost: finish, and call `close`. */
  readonly wanted: AbortSignal
  close(): Promise<void>
}

// Not awaited here: the worker would miss messages that arrive in the meantime.
const loading = init()
const locks = createLocks({ store: indexedDBStore('locks') })
let pool: SAHPoolUtil | undefined

/** Opens a database, as soon as no other tab has it open. */
export async function openDatabase(path: string): Promise<OpenDatabase> {
  const asked = new AbortController()
  const lock = await locks.acquire('database', { ask: 'another tab opens it', onReleaseRequested: () => asked.abort() })
  try {
    const files = await openFiles()
    const db = new files.OpfsSAHPoolDb(path)
    return {
      db,
      wanted: AbortSignal.any([asked.signal, lock.signal]),
      async close() {
        db.close()
        // Closes the files before the next tab can have the lock.
        files.pauseVfs()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

// The second option is documented, but missing in the types.
const options = { preserveOnInitFailure: true, forceReinitIfPreviouslyFailed: true }

/** Opens the files that SQLite keeps its databases in. */
async function openFiles(): Promise<SAHPoolUtil> {
  const sqlite3 = await loading
  for (let pause = 5; ; pause *= 2) {
    try {
      if (pool) return await pool.unpauseVfs()
      pool = await sqlite3.installOpfsSAHPoolVfs(options)
      return pool
    } catch (error) {
      // When a tab crashes, its lock can be free a moment before the browser has closed its files.
      if ((error as Error).name !== 'NoModificationAllowedError' || pause > 2_000) throw error
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}
