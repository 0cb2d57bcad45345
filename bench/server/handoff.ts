import { figure, type Measure } from '../figure.ts'
import { now } from '../processes.ts'
import { median, percentile } from '../rounds.ts'
import { clientOf, withServer } from './served.ts'

const turns = 1_000
/** The first hand-offs are thrown away, so that compiled code is measured. */
const warmUp = 200
/** In µs. */
const limit = 4_000

const name = 'server.handoff'

export const measures: Record<string, Measure> = {
  [name]: (progress) =>
    withServer(async (server) => {
      const [one, other] = [clientOf(server.url), clientOf(server.url)]
      const times: number[] = []
      let held = await one.locks.acquire('job')
      for (let turn = 0; turn < turns + warmUp; turn++) {
        const waiter = turn % 2 ? one : other
        const next = waiter.locks.acquire('job')
        while (!(await waiter.locks.query('job')).pending.length);
        const from = now()
        const gone = held.release()
        held = await next
        if (turn >= warmUp) times.push(now() - from)
        await gone
        progress((turn + 1) / (turns + warmUp))
      }
      await one.close()
      await other.close()
      return [
        figure(name, 'µs', median(times), 'the limit', limit, times.length, 1),
        figure(`${name} p99`, 'µs', percentile(times, 0.99), 'the limit of the median', limit, times.length),
      ]
    }),
}
