import { handOn, inCrowds } from '../crowds.ts'
import { figure, type Measure } from '../figure.ts'
import { median } from '../rounds.ts'
import { type Kind, kinds } from './kinds.ts'

const [few, many] = [2, 64]
/** The first round is thrown away, so that compiled code is measured. */
const rounds = 4
/** In a round, for each count. */
const handoffs = 130

/** Hand-offs between processes while few sessions wait, and while many do. */
const growth =
  (kind: Kind): Measure =>
  async (progress, draw) => {
    const { start, title } = kinds[kind]
    const server = await start()
    try {
      return await inCrowds({ kind, at: server.url }, many, async (meeting) => {
        const times = new Map([few, many].map((count): [number, number[]] => [count, []]))
        for (let round = 0; round < rounds; round++) {
          for (const [count, taken] of times) {
            const passed = await handOn(meeting, count, handoffs)
            if (round) taken.push(...passed)
          }
          progress((round + 1) / rounds)
        }
        const at = (count: number): number => median(times.get(count) ?? [])
        const n = Math.min(...Array.from(times.values(), ({ length }) => length))
        draw({ plot: 'waiters', series: `storelock on ${title}`, points: [few, many].map((count) => [count, at(count)]) })
        return [figure(`${kind}.waiters.growth`, 'µs', at(many), `with ${few} sessions waiting instead of ${many}`, at(few), n, 1.5)]
      })
    } finally {
      await server.remove()
    }
  }

export const measures: Record<string, Measure> = Object.fromEntries(
  (Object.keys(kinds) as Kind[]).map((kind) => [`${kind}.waiters.growth`, growth(kind)]),
)
