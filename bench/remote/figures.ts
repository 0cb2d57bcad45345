import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import Redlock from 'redlock'
import { createLocks, type Store } from 'storelock'
import { etcdStore } from 'storelock/stores/etcd'
import { redisStore } from 'storelock/stores/redis'
import { EtcdClient } from '../../src/channels/etcd/client.ts'
import { encode } from '../../src/channels/etcd/form.ts'
import { startEtcd } from '../../test/servers/etcd.ts'
import { findCommand } from '../../test/servers/programs.ts'
import { startRedis } from '../../test/servers/redis.ts'
import { compared, distribution, figure, type Measure } from '../figure.ts'
import { inFolder } from '../folder.ts'
import { betweenProcesses, type PeerName, present } from '../peers/between-processes.ts'
import { alternate, median, percentile } from '../rounds.ts'
import { withServers } from '../servers.ts'
import { measureHandoffs } from '../sqlite/handoff.ts'

/** So many that most of them time code that V8 has optimised: what lies between two answers of a server runs cold for thousands of turns. */
const rounds = 300
/** Most of its time is etcd's own. */
const roundsOfEtcd = 60
const [ofRedis, ofEtcd] = [40, 10]
/** In µs. */
const limitHandoff = 2_000

const repeat = (iterations: number, run: (turn: number) => Promise<unknown>) => ({
  iterations,
  async run(count: number) {
    for (let turn = 0; turn < count; turn++) await run(turn)
  },
})

const taking = (store: Store) => {
  const locks = createLocks({ store })
  return { locks, turn: async () => (await locks.acquire('job')).release() }
}

export const measures: Record<string, Measure> = {
  'redis.acquireRelease': async (progress) => {
    const server = await startRedis()
    const client = new Redis(server.url)
    const redlock = new Redlock([client])
    const store = redisStore(client)
    const { locks, turn } = taking(store)
    const sides = {
      ours: repeat(ofRedis, turn),
      redlock: repeat(ofRedis, async () => (await redlock.lock('redlock', 10_000)).unlock()),
      bare: repeat(ofRedis, async (turn) => {
        for (const half of [0, 1]) await client.set('bare', `${turn} ${half} `.padEnd(150))
      }),
    }
    try {
      const measured = await alternate(sides, rounds, progress)
      return [
        compared('redis.acquireRelease', measured, 'ours', 'redlock', 'redlock lock + unlock on one node, without a fence', 1.5),
        compared('redis.acquireRelease', measured, 'ours', 'bare', 'two bare SETs'),
      ]
    } finally {
      await locks.close()
      await store.close()
      client.disconnect()
      await server.remove()
    }
  },

  'redis.handoff': (progress, draw) =>
    inFolder((folder) =>
      withServers(async (servers) => {
        const names = present(['oursOnRedis', 'redlockTight', 'redlockDefault'], servers)
        if (!names.length) return []
        const times = await measureHandoffs({ folder, servers }, names, progress)
        const of = (name: PeerName): number[] => times.get(name) ?? []
        draw(distribution('handoff', betweenProcesses.oursOnRedis.title, of('oursOnRedis')))
        const ours = of('oursOnRedis')
        return [
          figure('redis.handoff', 'µs', median(ours), 'the limit', limitHandoff, ours.length, 1),
          ...(['redlockDefault', 'redlockTight'] as const).map((name) =>
            figure('redis.handoff', 'µs', median(ours), betweenProcesses[name].title, median(of(name)), Math.min(ours.length, of(name).length)),
          ),
          figure('redis.handoff p99', 'µs', percentile(ours, 0.99), 'p50', median(ours), ours.length),
        ]
      }),
    ),

  'etcd.acquireRelease': async (progress) => {
    const server = await startEtcd()
    const client = new EtcdClient([server.url], {})
    const store = etcdStore(server.url)
    const { locks, turn } = taking(store)
    const sides = {
      ours: repeat(ofEtcd, turn),
      bare: repeat(ofEtcd, async (turn) => {
        for (const half of [0, 1]) {
          const put = { request_put: { key: encode('bare'), value: encode(`${turn} ${half} `.padEnd(150)) } }
          await client.call('kv/txn', { success: [put] })
        }
      }),
    }
    try {
      return [compared('etcd.acquireRelease', await alternate(sides, roundsOfEtcd, progress), 'ours', 'bare', 'two bare transactions', 2)]
    } finally {
      await locks.close()
      await store.close()
      client.close()
      await server.remove()
    }
  },

  'etcd.handoff': (progress, draw) =>
    inFolder((folder) =>
      withServers(async (servers) => {
        if (!present(['oursOnEtcd'], servers).length) return []
        const times = await measureHandoffs({ folder, servers }, ['oursOnEtcd'], progress)
        const ours = times.get('oursOnEtcd') ?? []
        draw(distribution('handoff', betweenProcesses.oursOnEtcd.title, ours))
        const theirs = findCommand('etcdctl') ? await etcdctlHandoffs(servers.etcd ?? '') : []
        return [
          ...(theirs.length
            ? [figure('etcd.handoff', 'µs', median(ours), 'etcdctl lock', median(theirs), Math.min(ours.length, theirs.length), 2)]
            : []),
          figure('etcd.handoff p99', 'µs', percentile(ours, 0.99), 'p50', median(ours), ours.length),
        ]
      }),
    ),
}

/** The times from the signal that ends one `etcdctl lock` until the next one reports that it has the lock, in µs. */
async function etcdctlHandoffs(url: string): Promise<number[]> {
  const take = (): ChildProcess =>
    spawn('etcdctl', ['--endpoints', url, 'lock', 'job'], { env: { ...process.env, ETCDCTL_API: '3' }, stdio: ['ignore', 'pipe', 'ignore'] })
  const granted = (child: ChildProcess) => once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')
  const times: number[] = []
  let holder = take()
  await granted(holder)
  for (let turn = 0; turn < 30; turn++) {
    const next = take()
    const waiting = granted(next)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const start = performance.now()
    holder.kill('SIGINT')
    await waiting
    times.push((performance.now() - start) * 1_000)
    holder = next
  }
  holder.kill('SIGINT')
  await once(holder, 'exit')
  return times
}
