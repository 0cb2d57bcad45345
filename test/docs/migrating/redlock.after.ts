import type { Redis } from 'ioredis'
import { createLocks } from 'storelock'
import { redisStore } from 'storelock/stores/redis'

export function makeReport(redis: Redis) {
  const locks = createLocks({ store: redisStore(redis), duration: 10_000 })

  return async (work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    await locks.request('report', { timeout: 20_000 }, (lock) => work(lock.signal)) // renewed for as long as the work takes
  }
}
