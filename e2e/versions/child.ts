// A process of one version of the library, on a SQLite file that other versions use too: `child.js <file>`.
import Database from 'better-sqlite3'
import { createLocks, type RequestOptions } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'

export type Order =
  /** Adds one to the counter `rounds` times, each time under the lock and in a fenced write. */
  | { readonly type: 'count'; readonly rounds: number }
  /** Takes the lock and keeps it. */
  | { readonly type: 'hold'; readonly options?: Pick<RequestOptions, 'limit'> }
  | { readonly type: 'release' }
  | { readonly type: 'end' }

/** How the order ended. */
export type Done = { readonly done: true } | { readonly code: string; readonly message: string }

const db = new Database(process.argv[2] as string, { timeout: 100 })
const store = sqliteStore(db)
// Long, so that a killed holder is replaced by a proof of death, not after its lease.
const locks = createLocks({ store, duration: 600_000 })
let release: (() => Promise<void>) | undefined

const carryOut = async (order: Order): Promise<void> => {
  if (order.type === 'count') {
    const read = db.prepare('SELECT value FROM counter')
    const write = db.prepare('UPDATE counter SET value = ?')
    for (let round = 0; round < order.rounds; round++) {
      const lock = await locks.acquire('counter')
      const { value } = read.get() as { value: number }
      // Gives other processes a chance to interfere, if the lock lets them.
      await new Promise((resolve) => setImmediate(resolve))
      await store.transaction(lock, (tx) => {
        tx.prepare('INSERT INTO turns (token, pid) VALUES (?, ?)').run(lock.token, process.pid)
        write.run(value + 1)
      })
      await lock.release()
    }
  } else if (order.type === 'hold') {
    const lock = await locks.acquire('held', order.options ?? {})
    release = () => lock.release()
  } else if (order.type === 'release') await release?.()
  else {
    await locks.close()
    await store.close()
    db.close()
    process.disconnect()
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    () => process.send?.({ done: true } satisfies Done),
    ({ code, message }) => process.send?.({ code: String(code), message } satisfies Done),
  )
})
process.on('disconnect', () => process.exit())
