import { join } from 'node:path'
import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { sqliteStore } from 'storelock/stores/sqlite'
import { compared, type Measure } from './figure.ts'
import { inFolder } from './folder.ts'
import { asyncMutex, nodeLocks } from './peers/in-process.ts'
import { alternate, type Side } from './rounds.ts'

/** Acquires that need no call to the store, compared with locks that have no store. */
export const measures: Record<string, Measure> = {
  async 'reentrant.acquire'(progress) {
    const name = 'reentrant.acquire'
    const store = memoryStore()
    const locks = createLocks({ store })
    const job = locks.reentrant('job')
    const first = await job.acquire()
    const ours: Side = {
      iterations: 5_000,
      async run(iterations) {
        for (let i = 0; i < iterations; i++) {
          const guard = await job.acquire()
          await guard.release()
        }
      },
    }
    const node = nodeLocks()
    const measured = await alternate({ ours, asyncMutex: asyncMutex(), node: node ?? { iterations: 0, run() {} } }, 150, progress)
    if (!first.isHeld()) throw new Error('the lock was not held all the time')
    await first.release()
    await locks.close()
    await store.close()
    return [
      compared(name, measured, 'ours', 'asyncMutex', 'async-mutex acquire + release (CJS build)', 1),
      ...(node ? [compared(name, measured, 'ours', 'node', "Node's own navigator.locks.request")] : []),
    ]
  },

  'linger.acquire': (progress) =>
    inFolder(async (folder) => {
      const store = sqliteStore(join(folder, 'locks.db'))
      const locks = createLocks({ store, linger: 10_000 })
      await (await locks.acquire('job')).release()
      const ours: Side = {
        iterations: 5_000,
        async run(iterations) {
          for (let i = 0; i < iterations; i++) {
            const lock = await locks.acquire('job')
            await lock.release()
          }
        },
      }
      const measured = await alternate({ ours, asyncMutex: asyncMutex() }, 150, progress)
      await locks.close()
      await store.close()
      return [compared('linger.acquire', measured, 'ours', 'asyncMutex', 'async-mutex acquire + release (CJS build)', 3)]
    }),
}
