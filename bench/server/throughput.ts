import { figure, type Measure } from '../figure.ts'
import { now } from '../processes.ts'
import { percentile } from '../rounds.ts'
import { askTwice } from './bare.ts'
import { clientOf, cpu, type Served, withOther, withServer } from './served.ts'

const clients = 32
/** The turns of each client in a round. The first round is thrown away. */
const turns = 50
const rounds = 11
/** The limit for one acquire and release, with all clients together, in µs: 3,000 per second. */
const limit = 1_000_000 / 3_000

const name = 'server.acquireRelease'

export const measures: Record<string, Measure> = {
  [name]: (progress) =>
    withServer((server) =>
      withOther('bareServer', {}, async (bare) => {
        const crowd = Array.from({ length: clients }, () => clientOf(server.url))
        const locking = await side(server, async (index) => {
          const lock = await crowd[index]?.locks.acquire(`key ${index}`)
          await lock?.release()
        })
        const asking = await side(bare, () => askTwice(bare.url))
        for (let round = 1; round < rounds; round++) {
          await locking.round()
          await asking.round()
          progress(round / (rounds - 1))
        }
        for (const client of crowd) await client.close()
        const [ours, floor] = [locking.sums(), asking.sums()]
        const n = locking.times.length
        const least = 'two requests to a bare HTTP server'
        return [
          figure(name, 'µs', ours.wall, `3,000 a second, of ${clients} clients together`, limit, n, 1),
          figure(`${name} beside the least`, 'µs', ours.wall, least, floor.wall, n),
          figure(`${name} p99`, 'µs', percentile(locking.times, 0.99), least, percentile(asking.times, 0.99), n),
          figure(`${name} computing of the server`, 'µs', ours.theirs, least, floor.theirs, n),
          figure(`${name} computing of the clients`, 'µs', ours.own, least, floor.own, n),
        ]
      }),
    ),
}

/** All clients repeat a turn at the same time. Records how long each turn took, and the CPU time of both processes. In µs. */
async function side({ cpu: theirs }: Served, turn: (index: number) => Promise<unknown>) {
  const times: number[] = []
  const sums = { wall: 0, own: 0, theirs: 0 }
  const round = async (): Promise<void> => {
    const [at, own, other] = [now(), cpu(), await theirs()]
    await Promise.all(
      Array.from({ length: clients }, async (_, index) => {
        for (let count = 0; count < turns; count++) {
          const from = now()
          await turn(index)
          times.push(now() - from)
        }
      }),
    )
    sums.wall += now() - at
    sums.own += cpu() - own
    sums.theirs += (await theirs()) - other
  }
  await round()
  times.length = 0
  Object.assign(sums, { wall: 0, own: 0, theirs: 0 })
  const each = (sum: number): number => sum / times.length
  return { times, round, sums: () => ({ wall: each(sums.wall), own: each(sums.own), theirs: each(sums.theirs) }) }
}
