// The program that `process.ts` starts: a lock server over a SQLite file or a Postgres database, at a port.
import { serve } from '../../src/server/index.ts'
import { postgresStore } from '../../src/stores/postgres.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'

const [place = '', port = '', schema = ''] = process.argv.slice(2)
const isPostgres = /^postgres:/.test(place)
const store = isPostgres ? postgresStore(place, { schema }) : sqliteStore(place)
const { url } = await serve(store, { port: Number(port), ...(isPostgres && { secret: 'the secret of all servers of a test' }) })
process.send?.(url)
