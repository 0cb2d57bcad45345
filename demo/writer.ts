// One of the writing processes: `writer.ts <name> <file>`. Its runner hears and orders it over Node's own IPC.
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { sqliteLedger } from './ledger-sqlite.ts'
import { type News, type Order, report } from './messages.ts'
import { brisk, duration, maxBackoff } from './settings.ts'
import { createWriter } from './turns.ts'
import { watch } from './watch.ts'

const [name = '', file = ''] = process.argv.slice(2)

// The lock lives in the file that it protects; the application keeps its own handle.
const db = new Database(file)
const store = sqliteStore(db)
const locks = createLocks({ store, label: name, duration, maxBackoff })
const ledger = sqliteLedger(db)

const tell = (news: News) => process.send?.(report(name, news))
const writer = createWriter({
  name,
  locks,
  ledger,
  pace: brisk,
  standStill: () => process.kill(process.pid, 'SIGSTOP'),
  tell: (told) => process.send?.(told),
})

process.on('message', (order: Order) => writer.obey(order))
// Ctrl-C reaches the whole process group; the runner decides what it means.
process.on('SIGINT', () => {})
// Without a runner there is nobody to write for.
process.on('disconnect', () => process.exit())

tell({ type: 'ready' })
const looking = new AbortController()
const watching = watch(locks, ledger, tell, looking.signal)
await writer.start()
looking.abort()
await watching
await locks.close()
await store.close()
db.close()
process.disconnect?.()
