// A lock server over a SQLite file, in a process of its own: `server.js <file> <port>`.
import { serve } from 'storelock/server'
import { sqliteStore } from 'storelock/stores/sqlite'

const [file = '', port = ''] = process.argv.slice(2)
const { url } = await serve(sqliteStore(file), { port: Number(port) })
process.send?.(url)
// Without the runner nobody would ever end it.
process.on('disconnect', () => process.exit())
