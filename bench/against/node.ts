import { createLocks } from 'storelock'
import { memoryStore } from 'storelock/stores/memory'
import { sqliteStore } from 'storelock/stores/sqlite'
import { acquireRelease, measureMe, reentrant } from './sides.ts'

measureMe(async (place) => {
  const memory = memoryStore()
  const sqlite = sqliteStore(`${place}.db`)
  const user = sqlite as unknown as { transaction(lock: unknown, body: () => void): Promise<void> }
  const [inMemory, onDisk, lingering, writing] = [
    createLocks({ store: memory }),
    createLocks({ store: sqlite }),
    createLocks({ store: sqlite, linger: 10_000, namespace: 'lingering' }),
    createLocks({ store: sqlite, duration: 60_000, namespace: 'writing' }),
  ]
  const held = await writing.acquire('job')
  return {
    sides: {
      'memory.acquireRelease': acquireRelease(inMemory, 1_000),
      'reentrant.acquire': reentrant(inMemory, 5_000),
      'linger.acquire': acquireRelease(lingering, 5_000),
      'sqlite.acquireRelease': acquireRelease(onDisk, 200),
      'sqlite.fencedWrite': {
        iterations: 200,
        async run(count) {
          for (let i = 0; i < count; i++) await user.transaction(held, () => {})
        },
      },
    },
    async close() {
      await held.release()
      for (const locks of [inMemory, onDisk, lingering, writing]) await locks.close()
      await sqlite.close()
    },
  }
})
