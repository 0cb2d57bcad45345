// A thread that acquires a lock in a SQLite file, reports its token, and holds it. `workerData` has the file and the lock's name.
import { parentPort, workerData } from 'node:worker_threads'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const { file, name } = workerData as { readonly file: string; readonly name: string }
const locks = createLocks({ store: sqliteStore(file), duration: 60_000 })
const { token } = await locks.acquire(name)
parentPort?.postMessage({ token })
// The timer keeps the thread alive.
setInterval(() => {}, 60_000)
