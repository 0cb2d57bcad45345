import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createLocks } from 'storelock'
import { type Durability, redisStore } from 'storelock/stores/redis'
import { findCommand, programs } from '../../test/servers/programs.ts'
import { type RedisServer, startRedis } from '../../test/servers/redis.ts'
import { compared, type Figure, type Measure } from '../figure.ts'
import { alternate, type Progress } from '../rounds.ts'

const [rounds, iterations] = [30, 20]

/** The cost of a wait for replicas or the disk, compared with the same store on the same server without it. */
async function compare(server: RedisServer, durability: Durability, against: string, name: string, progress: Progress): Promise<Figure> {
  const opened = [redisStore(server.url), redisStore(server.url, { prefix: 'durable', durability })].map((store) => ({
    store,
    locks: createLocks({ store }),
  }))
  const [plain, durable] = opened.map(({ locks }) => ({
    iterations,
    async run(count: number) {
      for (let turn = 0; turn < count; turn++) await (await locks.acquire('job')).release()
    },
  })) as [Side, Side]
  try {
    return compared(name, await alternate({ plain, durable }, rounds, progress), 'durable', 'plain', against)
  } finally {
    for (const { store, locks } of opened) {
      await locks.close()
      await store.close()
    }
  }
}

type Side = Parameters<typeof alternate>[0][string]

export const measures: Record<string, Measure> = {
  'redis.durability': async (progress) => {
    const server = await startRedis({ 'repl-diskless-sync-delay': '0' })
    const replica = await startRedis({ replicaof: `127.0.0.1 ${server.port}` })
    const admin = new Redis(server.url)
    try {
      while (!(await admin.info('replication')).includes('state=online')) await sleep(20)
      return [await compare(server, { replicas: 1 }, 'without waiting for a replica', 'redis.acquireRelease, WAIT 1', progress)]
    } finally {
      admin.disconnect()
      await replica.remove()
      await server.remove()
    }
  },

  'redis.durability.disk': async (progress) => {
    if (!programs.valkey.commands.every(findCommand)) {
      console.error(
        'WAITAOF is left out: there is no Valkey on this machine. To have it: apt-get install -y valkey-server (macOS: brew install valkey)',
      )
      return []
    }
    const server = await startRedis({ appendonly: 'yes', appendfsync: 'everysec' }, programs.valkey)
    try {
      return [await compare(server, { disk: true }, 'without waiting for the disk', 'redis.acquireRelease, WAITAOF (Valkey)', progress)]
    } finally {
      await server.remove()
    }
  },
}
