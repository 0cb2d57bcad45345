// Takes a lock and then has nothing more to do: `leaves.ts <start, as JSON> <name> [close]`. With `close` it closes its locks first.
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Start } from './orders.ts'

const [start = '', name = '', close] = process.argv.slice(2)
const { file, duration, maxBackoff } = JSON.parse(start) as Start
const locks = createLocks({ store: sqliteStore(file), duration, maxBackoff })
const lock = await locks.acquire(name)
console.log(lock.isHeld() ? 'holds it' : 'does not hold it')
if (close) await locks.close()
