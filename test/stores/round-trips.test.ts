import { describe, expect, test } from 'vitest'
import { createLocks, type Store } from '../../src/index.ts'
import { etcdStore } from '../../src/stores/etcd.ts'
import { postgresStore } from '../../src/stores/postgres.ts'
import { redisStore } from '../../src/stores/redis.ts'
import { lendEtcd } from '../servers/etcd.ts'
import { lendPostgres } from '../servers/postgres.ts'
import { startProxy } from '../servers/proxy.ts'
import { lendRedis } from '../servers/redis.ts'

const name = `trips ${process.pid}`
const kinds: [string, () => Promise<{ readonly url: string; remove(): Promise<unknown> }>, (url: string) => Store][] = [
  ['Postgres', lendPostgres, (url) => postgresStore(url, { schema: name })],
  ['Redis', lendRedis, (url) => redisStore(url, { prefix: name })],
  ['etcd', lendEtcd, (url) => etcdStore(url, { prefix: name })],
]

describe.each(kinds)('round trips to %s', (_, lend, open) => {
  test('an acquire, a release and a heartbeat take one each', async () => {
    const server = await lend()
    const { port } = new URL(server.url)
    const proxy = await startProxy(Number(port))
    const store = open(server.url.replace(`:${port}`, `:${proxy.port}`))
    // Long enough that the session sends no heartbeat meanwhile.
    const locks = createLocks({ store, duration: 600_000 })
    const beat = { type: 'beat', session: 'a', client: 'a', lease: 600_000 } as const
    /** Counts the round trips of a call. */
    const trips = async <T>(ask: () => Promise<T>): Promise<[number, T]> => {
      const before = proxy.trips
      const answer = await ask()
      return [proxy.trips - before, answer]
    }
    for (let turn = 0; turn < 3; turn++) {
      await (await locks.acquire('job')).release()
      await store.apply([{ ...beat, opens: turn === 0 }])
    }
    const [acquire, lock] = await trips(() => locks.acquire('job'))
    const [release] = await trips(() => lock.release())
    const [heartbeat] = await trips(() => store.apply([beat]))
    expect({ acquire, release, heartbeat }).toEqual({ acquire: 1, release: 1, heartbeat: 1 })
    await locks.close()
    await store.close()
    proxy.close()
    await server.remove()
  })
})
