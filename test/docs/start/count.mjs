import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'

const db = new Database('app.db')
db.exec('CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER)')
const store = sqliteStore(db)
const locks = createLocks({ store })

for (let turn = 1; turn <= 10; turn++) {
  await locks.request('count', async (lock) => {
    // One process at a time gets here; the others wait for their turn.
    const row = db.prepare("SELECT value FROM numbers WHERE name = 'count'").get()
    const next = (row?.value ?? 0) + 1
    await setTimeout(20) // as long as a request to your server takes
    await store.transaction(lock, (tx) => {
      tx.prepare("INSERT OR REPLACE INTO numbers VALUES ('count', ?)").run(next)
    })
    console.log(`process ${process.pid} made it ${next}`)
  })
}

await locks.close()
