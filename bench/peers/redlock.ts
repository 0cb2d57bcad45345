import type Redlock from 'redlock'
import type { Peer } from './peer.ts'

const peer = (title: string, options: Redlock.Options, rest: Pick<Peer, 'held' | 'handoffs'>): Peer => ({
  title: `redlock on one Redis, ${title}`,
  server: 'redis',
  ...rest,
  async open({ servers }) {
    // Imported only by their users, to keep other processes of the bench small.
    const [{ Redis }, { default: Redlock }] = await Promise.all([import('ioredis'), import('redlock')])
    const redis = new Redis(servers.redis ?? '')
    const redlock = new Redlock([redis], options)
    return {
      async acquire() {
        const lock = await redlock.lock('job', 10_000)
        return () => lock.unlock()
      },
      close: () => redis.quit(),
    }
  },
})

export const redlockDefault = peer('its default retries (10, each after 200 to 300 ms)', {}, { held: [1, 250], handoffs: 6 })

export const redlockTight = peer('retries every 1 ms', { retryCount: -1, retryDelay: 1, retryJitter: 0 }, { held: [1, 3], handoffs: 50 })
