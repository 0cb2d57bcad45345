import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { compared, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { alternate, type Side } from '../rounds.ts'

const counts = [10, 100, 1_000, 10_000, 100_000]
const [fewest, most] = [10, 100_000]
/** How many keys are made in one transaction. */
const batch = 2_000

export const measures: Record<string, Measure> = {
  'sqlite.keys.growth': (progress, draw) =>
    inFolder(async (folder) => {
      const sides: Record<string, Side> = {}
      const ends: (() => Promise<void>)[] = []
      for (const [index, count] of counts.entries()) {
        const path = join(folder, `${count}.db`)
        await fill(path, count)
        const store = sqliteStore(path)
        const locks = createLocks({ store })
        const side = (nameOf: (i: number) => string): Side => ({
          iterations: 100,
          async run(iterations) {
            for (let i = 0; i < iterations; i++) {
              const lock = await locks.acquire(nameOf(i))
              await lock.release()
            }
          },
        })
        sides[`one of ${count}`] = side(() => 'job 1')
        // In leaps, since an app with so many locks does not take them in order.
        let place = 0
        if (count === fewest || count === most) sides[`all of ${count}`] = side(() => `job ${(place++ * 61_803) % count}`)
        ends.push(() => locks.close().then(() => store.close()))
        progress(((index + 1) / counts.length) * 0.3)
      }
      const measured = await alternate(sides, 60, (done) => progress(0.3 + 0.7 * done))
      for (const end of ends) await end()
      draw({
        plot: 'keys',
        series: 'storelock on SQLite, acquire + release',
        points: counts.map((count) => [count, measured.medians[`one of ${count}`] ?? NaN]),
      })
      const name = 'sqlite.keys.growth'
      return [
        compared(name, measured, `one of ${most}`, `one of ${fewest}`, 'the same with 10 idle keys instead of 100,000', 1.3),
        compared(name, measured, `all of ${most}`, `all of ${fewest}`, 'the same in leaps over all of 10 keys instead of 100,000'),
      ]
    }),
}

/** Makes keys whose locks were held once. */
async function fill(path: string, count: number): Promise<void> {
  const store = sqliteStore(path)
  const session = 'filler'
  await store.apply([{ type: 'beat', session, client: session, lease: 600_000, opens: true }])
  for (let from = 0; from < count; from += batch) {
    const commands = Array.from({ length: Math.min(batch, count - from) }, (_, i) => {
      const key = `job ${from + i}`
      return [
        { type: 'request', key, session, client: session, number: from + i + 1, mode: 'exclusive', confirm: 500 },
        { type: 'withdraw', key, session, number: from + i + 1 },
      ] as const
    })
    const outcomes = await store.apply(commands.flat())
    const wrong = outcomes.find(({ type }) => type !== 'granted' && type !== 'done')
    if (wrong) throw new Error(`a key was not made: ${JSON.stringify(wrong)}`)
  }
  await store.apply([{ type: 'end', session }])
  await store.close()
  // The measurement starts with an empty log, however much was written before.
  const db = new Database(path)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
}
