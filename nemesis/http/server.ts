// A lock server over a SQLite file or a Postgres database, in a process of its own: `server.js <file or address> <port>`.
import { serve } from 'storelock/server'
import { postgresStore } from 'storelock/stores/postgres'
import { sqliteStore } from 'storelock/stores/sqlite'

const [place = '', port = ''] = process.argv.slice(2)
const isPostgres = place.startsWith('postgres:')
const secret = isPostgres ? { secret: 'the secret of all servers of a nemesis' } : {}
const { url } = await serve(isPostgres ? postgresStore(place) : sqliteStore(place), { port: Number(port), ...secret })
process.send?.(url)
// Without the runner, this process would never be told to end.
process.on('disconnect', () => process.exit())
