import { createRequire } from 'node:module'
import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { compared, type Measure } from './figure.ts'
import { alternate } from './rounds.ts'

// Its ESM build is several times slower than the CJS one that `require` finds.
const { Mutex }: typeof import('async-mutex') = createRequire(import.meta.url)('async-mutex')

export const measures: Record<string, Measure> = {
  async 'reentrant.acquire'(progress) {
    const store = memoryStore()
    const locks = createLocks({ store })
    const job = locks.reentrant('job')
    const first = await job.acquire()
    const mutex = new Mutex()

    const measured = await alternate(
      {
        ours: {
          iterations: 5_000,
          async run(iterations) {
            for (let i = 0; i < iterations; i++) {
              const guard = await job.acquire()
              await guard.release()
            }
          },
        },
        asyncMutex: {
          iterations: 5_000,
          async run(iterations) {
            for (let i = 0; i < iterations; i++) {
              const release = await mutex.acquire()
              release()
            }
          },
        },
      },
      150,
      progress,
    )
    if (!first.isHeld()) throw new Error('the lock was not held all the time')
    await first.release()
    await locks.close()
    await store.close()
    return [compared('reentrant.acquire', measured, 'ours', 'asyncMutex', 'async-mutex acquire + release (CJS build)', 1)]
  },
}
