import { connections } from '../../stores/postgres/connect.ts'
import { postgresVersion } from '../../stores/postgres/schema.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** The oldest version of Postgres with everything that the store uses. */
const oldest = 13
/** By how many ms the clocks may differ without a note: beyond that, times in lists look odd, and so may tokens after the loss of a table. */
const odd = 1_000
/** How long an answer may take, in ms. */
const timeout = 5_000

/** Checks a Postgres database, and a pooler between it and this machine. */
export async function checkPostgres(url: string): Promise<Finding[]> {
  const database = await connections(url, { direct: undefined, timeout })
  const { query } = database
  try {
    const start = performance.now()
    const [about] = await query(`SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
      current_setting('default_transaction_read_only') AS read_only, current_setting('default_transaction_isolation') AS isolation,
      current_setting('synchronous_commit') AS durable, current_setting('synchronous_standby_names') AS standbys,
      has_database_privilege(current_database(), 'CREATE') AS may_create`)
    const took = Math.ceil(performance.now() - start)
    return [
      ok('server', `answers within ${took} ms`),
      checkVersion(about.version),
      about.standby || about.read_only === 'on'
        ? fault('primary', 'this server takes no writes', 'connect to the primary')
        : ok('primary', 'takes writes'),
      about.isolation === 'read committed'
        ? ok('isolation', about.isolation)
        : fault('isolation', about.isolation, `ALTER ROLE … SET default_transaction_isolation = 'read committed' for the user of the locks`),
      await checkTable(query, about.may_create),
      await checkHints(database.open),
      await checkClock(query),
      checkReplication(about),
    ]
  } catch (error) {
    const message = `${database.title}: ${(error as Error).message}`
    return [fault('server', message, 'check that it runs, and the address, user and password in --store or STORELOCK_STORE')]
  } finally {
    await database.close()
  }
}

type Query = Awaited<ReturnType<typeof connections>>['query']

const checkVersion = (number: number): Finding => {
  const version = Math.floor(number / 10_000)
  return version < oldest ? fault('version', `Postgres ${version}`, `use ${oldest} or newer`) : ok('version', `Postgres ${version}`)
}

async function checkTable(query: Query, mayCreate: boolean): Promise<Finding> {
  const [found] = await query(`SELECT to_regclass('storelock.lock_rows') IS NOT NULL AS made`)
  if (!found.made) {
    return mayCreate
      ? note('table', 'there is no table of storelock', 'nothing: it is made when a lock is first taken')
      : fault('table', 'there is no table of storelock, and this user may not make it', 'have somebody run the SQL of postgresSchema()')
  }
  const [{ may }] = await query(`SELECT has_schema_privilege('storelock', 'USAGE')
    AND has_table_privilege('storelock.lock_rows', 'SELECT') AND has_table_privilege('storelock.lock_rows', 'INSERT')
    AND has_table_privilege('storelock.lock_rows', 'UPDATE') AND has_table_privilege('storelock.lock_rows', 'DELETE') AS may`)
  if (!may)
    return fault('table', 'this user may not use it', 'GRANT SELECT, INSERT, UPDATE, DELETE ON storelock.lock_rows, and USAGE ON SCHEMA storelock')
  const [{ body }] = await query(`SELECT body FROM storelock.lock_rows WHERE id = 'version'`)
  const [{ records, sessions }] = await query(`SELECT count(*) FILTER (WHERE id LIKE 'r:%') AS records,
    count(*) FILTER (WHERE expires_at IS NOT NULL) AS sessions FROM storelock.lock_rows`)
  return Number(body) > postgresVersion
    ? fault('table', `a newer storelock made it (version ${body})`, 'update storelock')
    : ok('table', `${records} records, ${sessions} sessions`)
}

async function checkHints(open: () => Promise<{ end(): Promise<void> }>): Promise<Finding> {
  try {
    await (await open()).end()
    return ok('hints', 'nothing stands before the server, so it can wake waiters')
  } catch (error) {
    return note('hints', (error as Error).message, 'nothing, if waiters may poll')
  }
}

async function checkClock(query: Query): Promise<Finding> {
  const sent = Date.now()
  const [{ ms }] = await query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms')
  const ahead = Math.round(Number(ms) - (sent + Date.now()) / 2)
  return Math.abs(ahead) > odd
    ? note(
        'clock',
        `the server’s is ${ahead} ms ahead of this machine’s`,
        'nothing depends on it but the times that are shown; let both follow a time server',
      )
    : ok('clock', `the server’s differs by ${Math.abs(ahead)} ms`)
}

function checkReplication({ durable, standbys }: { durable: string; standbys: string }): Finding {
  if (durable === 'off') return ok('durability', 'synchronous_commit is off; the store’s own commits wait for the disk all the same')
  return standbys
    ? ok('durability', `commits wait for a standby (${standbys})`)
    : note(
        'durability',
        'commits wait for no standby',
        'nothing with one server; a failover to a standby that lags loses the last grants, which only the fence notices',
      )
}
