import { figure, type Measure } from '../figure.ts'
import { now } from '../processes.ts'
import { percentile } from '../rounds.ts'
import { type Client, clientOf, cpu, withServer } from './served.ts'

const clients = 32
/** Of each client; those of the first round are thrown away. */
const turns = 100
const rounds = 11
/** For one acquire+release of all clients together, in µs: 3,000 a second. */
const limit = 1_000_000 / 3_000

const name = 'server.acquireRelease'

export const measures: Record<string, Measure> = {
  [name]: (progress) =>
    withServer(async (server) => {
      const crowd = Array.from({ length: clients }, () => clientOf(server.url))
      const times: number[] = []
      await Promise.all(crowd.map((client, index) => loop(client, `key ${index}`, [])))
      const before = { at: now(), ours: cpu(), theirs: await server.cpu() }
      for (let round = 1; round < rounds; round++) {
        await Promise.all(crowd.map((client, index) => loop(client, `key ${index}`, times)))
        progress(round / (rounds - 1))
      }
      const n = times.length
      const each = (now() - before.at) / n
      const [ours, theirs] = [(cpu() - before.ours) / n, ((await server.cpu()) - before.theirs) / n]
      for (const client of crowd) await client.close()
      return [
        figure(name, 'µs', each, `3,000 a second, of ${clients} clients together`, limit, n, 1),
        figure(`${name} p99`, 'µs', percentile(times, 0.99), 'as long as all clients’ turns take', each * clients, n),
        figure(`${name} computing of the server`, 'µs', theirs, 'that of the clients', ours, n),
      ]
    }),
}

/** Takes a lock and lets it go, over and over. */
async function loop({ locks }: Client, key: string, times: number[]): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    const from = now()
    const lock = await locks.acquire(key)
    await lock.release()
    times.push(now() - from)
  }
}
