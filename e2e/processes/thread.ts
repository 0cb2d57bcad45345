// A thread that takes turns with others. Its data: a database file, a ledger, and the number of turns.
import { appendFileSync } from 'node:fs'
import { threadId, workerData } from 'node:worker_threads'
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Line } from './orders.ts'

const { file, ledger, turns } = workerData as { file: string; ledger: string; turns: number }
const store = sqliteStore(file)
const locks = createLocks({ store, duration: 10_000, maxBackoff: 60_000 })
const write = (event: Line['event'], token = 0): void =>
  appendFileSync(ledger, `${JSON.stringify({ event, who: `${threadId}`, token } satisfies Line)}\n`)

for (let turn = 0; turn < turns; turn++) {
  write('ask')
  await locks.request('l', async (held) => {
    write('enter', held.token)
    await new Promise((resolve) => setImmediate(resolve))
    held.assertHeld()
    write('leave', held.token)
  })
}
await locks.close()
await store.close()
