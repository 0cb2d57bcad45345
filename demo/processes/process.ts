// A process that counts: `process.ts <name> <file>`. Its runner gets its reports and sends it orders over Node's IPC.
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import type { Order, Report } from '../model/reports.ts'
import { createWriter } from '../model/writer.ts'
import { brisk, maxBackoff } from '../settings.ts'
import { countersIn } from './counters.ts'

const [name = '', file = ''] = process.argv.slice(2)

// The lock is in the file that it protects, and the application keeps its own handle.
const db = new Database(file)
// Looks up `Date.now` on each call, since the demo replaces it.
const store = sqliteStore(db, { now: () => Date.now() })
const locks = createLocks({ store, label: name, duration: brisk.duration, maxBackoff })

const tell = (report: Report) => process.send?.(report)
const writer = createWriter({
  ...{ name, place: 'process', locks, counters: countersIn(db, store), pace: brisk, tell },
  standStill(say) {
    say('stopped')
    process.kill(process.pid, 'SIGSTOP')
  },
})

process.on('message', (order: Order) => writer.obey(order))
// Ctrl-C reaches the whole process group, but the runner decides what happens.
process.on('SIGINT', () => {})
// Without its runner the process has nothing to do.
process.on('disconnect', () => process.exit())

writer.hello()
await writer.finished
await locks.close()
await store.close()
db.close()
process.disconnect?.()
