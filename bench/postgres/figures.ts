import pg from 'pg'
import { createLocks } from 'storelock'
import { postgresStore } from 'storelock/stores/postgres'
import { startPostgres } from '../../test/servers/postgres.ts'
import { compared, distribution, figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { betweenProcesses, type PeerName, present } from '../peers/between-processes.ts'
import { alternate, median, percentile } from '../rounds.ts'
import { withServers } from '../servers.ts'
import { measureHandoffs } from '../sqlite/handoff.ts'

/** So many that most of them time code that V8 has optimised: what lies between two answers of a server runs cold for thousands of turns. */
const rounds = 200
const iterations = 20
/** A prepared bare update of a text as long as a record. */
const update = { name: 'update', text: 'UPDATE bare SET body = $1 WHERE id = 1' }
const limitHandoff = 3_000

/** The number of concurrent writers, and how long each way of notifying is measured, in ms. */
const writers = 64
const span = 2_000
/** The ways to notify of a write: in its own transaction, or in a separate one, as our channel does. */
const ways = {
  alone: (id: number) => [`UPDATE bare SET body = body WHERE id = ${id}`],
  within: (id: number) => [`UPDATE bare SET body = body WHERE id = ${id}; SELECT pg_notify('told', '${id}')`],
  after: (id: number) => [`UPDATE bare SET body = body WHERE id = ${id}`, `SELECT pg_notify('told', '${id}')`],
}

export const measures: Record<string, Measure> = {
  // A heartbeat writes one row, however many locks it renews.
  'postgres.heartbeat1000': async (progress) => {
    const server = await startPostgres({})
    const store = postgresStore(server.url, { schema: 'locks' })
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query("CREATE TABLE bare (id int PRIMARY KEY, body text); INSERT INTO bare VALUES (1, '')")
    const beat = { type: 'beat', session: 'a', client: 'a', lease: 60_000 } as const
    const requests = Array.from({ length: 1_000 }, (_, index) => ({
      ...({ type: 'request', session: 'a', client: 'a', number: 1, mode: 'exclusive', confirm: 500 } as const),
      key: `job ${index}`,
    }))
    try {
      await store.apply([{ ...beat, opens: true }, ...requests])
      const sides = {
        ours: {
          iterations,
          async run(count: number) {
            for (let turn = 0; turn < count; turn++) await store.apply([beat])
          },
        },
        bare: {
          iterations,
          async run(count: number) {
            for (let turn = 0; turn < count; turn++) await client.query({ ...update, values: [`${turn}`.padEnd(150)] })
          },
        },
      }
      const measured = await alternate(sides, rounds, progress)
      return [compared('postgres.heartbeat1000', measured, 'ours', 'bare', 'one bare update of a row')]
    } finally {
      await client.end()
      await store.close()
      await server.remove()
    }
  },

  // Postgres commits transactions that notify one after another, each with its wait for the disk.
  'postgres.notify64': async (progress) => {
    const server = await startPostgres({})
    const clients = Array.from({ length: writers }, () => new pg.Client({ connectionString: server.url }))
    try {
      for (const client of clients) await client.connect()
      await clients[0]?.query(
        `CREATE TABLE bare (id int PRIMARY KEY, body text); INSERT INTO bare SELECT i, 'x' FROM generate_series(0, ${writers}) i`,
      )
      const rates: Record<keyof typeof ways, number[]> = { alone: [], within: [], after: [] }
      const names = Object.keys(ways) as (keyof typeof ways)[]
      const turns = 3
      for (let turn = 0; turn < turns; turn++) {
        for (const [index, way] of names.entries()) {
          const end = performance.now() + span
          let done = 0
          const write = async (client: pg.Client, id: number): Promise<void> => {
            for (; performance.now() < end; done++) for (const text of ways[way](id)) await client.query(text)
          }
          await Promise.all(clients.map(write))
          rates[way].push((done / span) * 1_000)
          progress((turn + (index + 1) / names.length) / turns)
        }
      }
      const [after, within, alone] = [median(rates.after), median(rates.within), median(rates.alone)]
      const name = 'postgres.notify64'
      return [
        figure(name, 'writes/s', after, 'a NOTIFY in the transaction of each write', within, turns),
        figure(name, 'writes/s', after, 'the same writes, with nobody told', alone, turns),
      ]
    } finally {
      await Promise.all(clients.map((client) => client.end()))
      await server.remove()
    }
  },

  // With the default settings, in which the server waits for its disk.
  'postgres.acquireRelease': async (progress) => {
    const server = await startPostgres({})
    const store = postgresStore(server.url, { schema: 'locks' })
    const locks = createLocks({ store })
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query("CREATE TABLE bare (id int PRIMARY KEY, body text); INSERT INTO bare VALUES (1, '')")
    const repeat = (run: (turn: number) => Promise<unknown>) => ({
      iterations,
      async run(count: number) {
        for (let turn = 0; turn < count; turn++) await run(turn)
      },
    })
    const sides = {
      ours: repeat(async () => (await locks.acquire('job')).release()),
      bare: repeat(async (turn) => {
        for (const half of [0, 1]) await client.query({ ...update, values: [`${turn} ${half} `.padEnd(150)] })
      }),
      advisory: repeat(async () => {
        await client.query({ name: 'lock', text: 'SELECT pg_advisory_lock(1)' })
        await client.query({ name: 'unlock', text: 'SELECT pg_advisory_unlock(1)' })
      }),
    }
    try {
      const measured = await alternate(sides, rounds, progress)
      return [
        compared('postgres.acquireRelease', measured, 'ours', 'bare', 'two bare updates of a row', 1.5),
        compared('postgres.acquireRelease', measured, 'ours', 'advisory', 'advisory lock + unlock, which write nothing'),
      ]
    } finally {
      await client.end()
      await locks.close()
      await store.close()
      await server.remove()
    }
  },

  'postgres.handoff': (progress, draw) =>
    inFolder((folder) =>
      withServers(async (servers) => {
        const names = present(['oursOnPostgres', 'postgres'], servers)
        if (!names.length) return []
        const times = await measureHandoffs({ folder, servers }, names, progress)
        const of = (name: PeerName): number[] => times.get(name) ?? []
        draw(distribution('handoff', betweenProcesses.oursOnPostgres.title, of('oursOnPostgres')))
        const [ours, theirs] = [of('oursOnPostgres'), of('postgres')]
        const n = Math.min(ours.length, theirs.length)
        return [
          figure('postgres.handoff', 'µs', median(ours), betweenProcesses.postgres.title, median(theirs), n, 1.5),
          figure('postgres.handoff', 'µs', median(ours), 'the limit', limitHandoff, n, 1),
          figure('postgres.handoff p99', 'µs', percentile(ours, 0.99), `p99 of an advisory lock`, percentile(theirs, 0.99), n),
        ]
      }),
    ),
}
