// A thread that exposes the locks of a SQLite file, which `workerData` names.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import { expose } from '../../src/worker/index.ts'

const { file } = workerData as { readonly file: string }
if (!parentPort) throw new Error('this is to run as a thread')
const locks = createLocks({ store: sqliteStore(file) })
expose(locks, parentPort)
parentPort.on('message', ({ port }: { readonly port?: MessagePort }) => port && expose(locks, port))
