// A thread that holds a lock of an SQLite file, which is its data, and reports it.
import { parentPort, workerData } from 'node:worker_threads'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const { file, name } = workerData as { readonly file: string; readonly name: string }
const locks = createLocks({ store: sqliteStore(file), duration: 60_000 })
const { token } = await locks.acquire(name)
parentPort?.postMessage({ token })
// Keeps the thread alive.
setInterval(() => {}, 60_000)
