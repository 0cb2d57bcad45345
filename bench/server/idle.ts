import { setTimeout as sleep } from 'node:timers/promises'
import { figure, type Measure } from '../figure.ts'
import { now } from '../processes.ts'
import { clientOf, withServer } from './served.ts'

const clients = 100
const locksEach = 10
/** Turns of each client before the measurement: an idle server has usually run for long, so its code is compiled. */
const warmUp = 100
/** In ms: as long as a lock's duration, in which a session beats ten times. */
const span = 10_000

export const measures: Record<string, Measure> = {
  'server.idle': (progress) =>
    withServer(async (server) => {
      const crowd = Array.from({ length: clients }, () => clientOf(server.url))
      await Promise.all(
        crowd.map(async ({ locks }, index) => {
          for (let turn = 0; turn < warmUp; turn++) await (await locks.acquire(`warm ${index}`)).release()
        }),
      )
      await Promise.all(
        crowd.flatMap(({ locks }, index) => Array.from({ length: locksEach }, (_, number) => locks.acquire(`key ${index} ${number}`))),
      )
      progress(0.2)
      const [at, before] = [now(), await server.cpu()]
      await sleep(span)
      const share = (100 * ((await server.cpu()) - before)) / (now() - at)
      for (const client of crowd) await client.close()
      return [figure('server.idle', '%', share, `of a core, for ${clients * locksEach} held locks over ${clients} connections`, 10, span, 1)]
    }),
}
