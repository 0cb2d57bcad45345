/**
 * A process that takes the lock again and again, and each time increments a counter in two steps that only the lock makes atomic:
 * `node --import tsx postgres-hammer.ts <url> <schema> <turns> <seconds to stay>`. Prints the tokens of its grants. Without turns it takes the lock
 * once, prints the token, and holds the lock until it is killed.
 */
import pg from 'pg'
import { createLocks } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres.ts'

const [url = '', schema = '', turns = '0'] = process.argv.slice(2)
const store = postgresStore<pg.PoolClient>(url, { schema })
const locks = createLocks({ store, duration: 5_000 })
const counter = new pg.Client({ connectionString: url })
await counter.connect()
if (turns === '0') {
  const lock = await locks.acquire('job')
  process.stdout.write(`${lock.token}\n`)
  setInterval(() => {}, 1_000)
} else {
  const tokens: number[] = []
  for (let turn = 0; turn < Number(turns); turn++) {
    await using lock = await locks.acquire('job')
    const { rows } = await counter.query('SELECT value FROM hammered')
    await store.transaction(lock, (client) => client.query('UPDATE hammered SET value = $1', [rows[0].value + 1]))
    tokens.push(lock.token)
  }
  process.stdout.write(`${JSON.stringify(tokens)}\n`)
  await locks.close()
  await store.close()
  await counter.end()
}
