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

const rounds = 60
const iterations = 20
/** Two bare updates of as long a text as a record, prepared once. */
const update = { name: 'update', text: 'UPDATE bare SET body = $1 WHERE id = 1' }
const limitHandoff = 3_000

export const measures: Record<string, Measure> = {
  // With a server that waits for its disk, as it does unless told otherwise.
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
