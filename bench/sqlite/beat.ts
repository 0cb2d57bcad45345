import { join } from 'node:path'
import { type Clock, createLocks, type Store } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'
import { compared, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { alternate } from '../rounds.ts'
import { openBare, stored } from './bare.ts'

export const measures: Record<string, Measure> = {
  'sqlite.heartbeat1000': (progress) =>
    inFolder(async (folder) => {
      const holds = 1_000
      const duration = 10_000
      const path = join(folder, 'ours.db')
      const { store, beaten } = watched(sqliteStore(path))
      const clock = new SkippingClock()
      const locks = createLocks({ store, duration, clock })
      const held = await Promise.all(Array.from({ length: holds }, (_, i) => locks.acquire(`job ${i}`)))
      const bare = openBare(join(folder, 'bare.db'), holds, await stored(store, 'job 0'))

      const measured = await alternate(
        {
          ours: {
            iterations: 50,
            async run(iterations) {
              for (let i = 0; i < iterations; i++) {
                const beat = beaten()
                clock.skip(duration / 10)
                await beat
                // Lets the session handle the reply before the next beat is due, as between two real timers.
                await new Promise(setImmediate)
              }
            },
          },
          bare: {
            iterations: 5,
            run(iterations) {
              for (let i = 0; i < iterations; i++) bare.updateAll()
            },
          },
        },
        60,
        progress,
      )
      if (!held.every((lock) => lock.isHeld())) throw new Error('the beats that were measured did not keep the locks')
      bare.close()
      await locks.close()
      await store.close()
      return [compared('sqlite.heartbeat1000', measured, 'ours', 'bare', 'one bare transaction that updates 1,000 rows', 0.2)]
    }),
}

/** A store, and a function that waits for its next beat. */
function watched(inner: Store): { store: Store; beaten(): Promise<void> } {
  let tell = (): void => {}
  const apply: Store['apply'] = async (commands) => {
    const outcomes = await inner.apply(commands)
    if (outcomes.some(({ type }) => type === 'beaten')) tell()
    return outcomes
  }
  const beaten = (): Promise<void> => new Promise((resolve) => (tell = resolve))
  return { store: { ...inner, apply }, beaten }
}

/** The true time, but it can be moved forward: a beat is due every second, and the bench cannot wait that long. */
class SkippingClock implements Clock {
  #skipped = 0
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  now = (): number => Date.now() + this.#skipped
  monotonic = (): number => performance.now() + this.#skipped
  random = (): number => Math.random()

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.monotonic() + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  skip(ms: number): void {
    this.#skipped += ms
    const now = this.monotonic()
    for (const timer of [...this.#timers]) if (timer.at <= now && this.#timers.delete(timer)) timer.run()
  }
}
