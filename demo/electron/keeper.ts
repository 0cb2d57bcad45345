import { createLocks, type Locks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { type Endpoint, expose } from 'storelock/worker'
import { listen, type Message, type Turn, type Write } from './ledger.ts'

/** The part of the one process that has the SQLite file and its locks. */
export interface Keeper {
  readonly locks: Locks
  /** Makes a function that writes turns of this process. */
  write(who: string): Write
  /** Lets another process use the locks and write under them. */
  connect(port: Endpoint): void
}

const schema = 'CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, who TEXT NOT NULL, token INTEGER NOT NULL)'

/** @param duration how long a hung process keeps the lock, in ms */
export function openKeeper(file: string, duration = 2_000): Keeper {
  const store = sqliteStore(file)
  const locks = createLocks({ store, duration, label: 'utility' })
  const db = store.connect()
  db.exec(schema)
  const ports = new Set<Endpoint>()

  const showAll = (): void => {
    const turns = db.prepare('SELECT number, who, token FROM turns ORDER BY number DESC LIMIT 12').all() as Turn[]
    for (const port of ports) port.postMessage({ turns } satisfies Message)
  }

  const write = async (who: string, lock: Parameters<typeof store.transaction>[0]): Promise<number> => {
    // The store refuses this, in the same transaction, if another session has had the lock meanwhile.
    const number = await store.transaction(lock, (tx) => {
      const { last } = tx.prepare('SELECT coalesce(max(number), 0) AS last FROM turns').get() as { last: number }
      tx.prepare('INSERT INTO turns VALUES (?, ?, ?)').run(last + 1, who, lock.token)
      return last + 1
    })
    showAll()
    return number
  }

  return {
    locks,
    write: (who) => (lock) => write(who, lock),
    connect(port) {
      expose(locks, port)
      ports.add(port)
      const answer = async (message: Message): Promise<void> => {
        if (!('write' in message)) return
        const { write: wrote, who, lock } = message
        // The other process has already checked its own belief that it holds the lock. What counts is the check in the transaction above.
        const reply = await write(who, { ...lock, assertHeld() {} }).then(
          (number) => ({ wrote, number }),
          (error: Error) => ({ wrote, refused: error.message }),
        )
        port.postMessage(reply satisfies Message)
      }
      listen(port, answer, () => ports.delete(port))
      showAll()
    },
  }
}
