// What `process.ts` starts: a lock server over a SQLite file, at a port.
import { serve } from '../../src/server/index.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const [file = '', port = ''] = process.argv.slice(2)
const { url } = await serve(sqliteStore(file), { port: Number(port) })
process.send?.(url)
