import type { Redis } from 'ioredis'
import Redlock from 'redlock'

export function makeReport(redis: Redis) {
  const redlock = new Redlock([redis], { retryCount: 100, retryDelay: 200 })

  return async (work: () => Promise<void>): Promise<void> => {
    const lock = await redlock.lock('report', 10_000)
    try {
      await work() // must end within 10 s, or call lock.extend() in time
    } finally {
      await lock.unlock()
    }
  }
}
