import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { collect, gather, handOn, inCrowds, type Meeting } from '../crowds.ts'
import { figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { options } from '../peers/ours.ts'
import { now } from '../processes.ts'
import { median } from '../rounds.ts'

const counts = [2, 4, 8, 16, 32, 64]
const [few, many] = [2, 64]
/** The first round is thrown away, so that compiled code is measured. */
const rounds = 6
/** In a round, for each count. */
const handoffs = 200
/** How long writes are counted, in ms. */
const watched = 10_000
/** How often a session that holds a lock beats, in Hz. */
const beatsPerSecond = 1_000 / (options.duration / 10)

export const measures: Record<string, Measure> = {
  'sqlite.waiters.growth': (progress, draw) =>
    inFile(async (place) => {
      const times = new Map(counts.map((count): [number, number[]] => [count, []]))
      for (let round = 0; round < rounds; round++) {
        for (const [index, count] of counts.entries()) {
          const taken = await handOn(place, count, handoffs)
          if (round) times.get(count)?.push(...taken)
          progress((round + (index + 1) / counts.length) / rounds)
        }
      }
      const at = (count: number): number => median(times.get(count) ?? [])
      const n = Math.min(...[few, many].map((count) => times.get(count)?.length ?? 0))
      draw({ plot: 'waiters', series: 'storelock on SQLite', points: counts.map((count) => [count, at(count)]) })
      return [figure('sqlite.waiters.growth', 'µs', at(many), `with ${few} sessions waiting instead of ${many}`, at(few), n, 1.5)]
    }),

  'sqlite.waiters.writes': (progress) =>
    inFile(async (place) => {
      const lock = await place.locks.acquire('job')
      await gather(place, many, 1)
      const [before, begun] = [commits(place.file), now()]
      for (let passed = 0; passed < watched; passed += 500) {
        await sleep(500)
        progress((passed + 500) / watched)
      }
      const perSecond = ((commits(place.file) - before) * 1_000_000) / (now() - begun)
      await lock.release()
      await collect(place)
      const against = `the holder's beats alone, while ${many} sessions wait for ${watched / 1_000} s`
      return [figure('sqlite.waiters.writes', 'commits/s', perSecond, against, beatsPerSecond, 1)]
    }),
}

/** Calls `use` with crowds on a file of their own. */
const inFile = <T>(use: (meeting: Meeting & { readonly file: string }) => Promise<T>): Promise<T> =>
  inFolder((folder) => {
    const file = join(folder, 'locks.db')
    return inCrowds({ kind: 'sqlite', at: file }, many, (meeting) => use({ ...meeting, file }))
  })

/**
 * How many transactions have been committed to a SQLite file, by the counter in its shared memory (`iChange` of the WAL-index header).
 * @see https://sqlite.org/walformat.html
 */
function commits(file: string): number {
  const header = new Uint32Array(3)
  const shm = openSync(`${file}-shm`, 'r')
  readSync(shm, header)
  closeSync(shm)
  return header[2] ?? NaN
}
