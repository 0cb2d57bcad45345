// Waits for a lock and then has nothing more to do: `leaves.ts <start, as JSON> <name>`.
import { createLocks } from '../../src/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Start } from './orders.ts'

const [start = '', name = ''] = process.argv.slice(2)
const { file, duration, maxBackoff } = JSON.parse(start) as Start
const lock = await createLocks({ store: sqliteStore(file), duration, maxBackoff }).acquire(name)
console.log(lock.isHeld() ? 'holds it' : 'does not hold it')
