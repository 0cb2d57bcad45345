import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startProxy } from '../../test/servers/proxy.ts'
import { type RedisServer, startRedis } from '../../test/servers/redis.ts'
import { keepInMemory } from '../../test/servers/running.ts'
import type { Arena, Setting } from '../arena.ts'
import { harmsOf } from './arena.ts'
import { type Harm, openOn } from './open.ts'

/** Lets a replica start its full copy at once. */
const settings = { 'repl-diskless-sync-delay': '0' }

async function ask(server: RedisServer, ...[command, ...args]: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(server.url, { maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  try {
    return await client.call(command, ...args)
  } finally {
    client.disconnect()
  }
}

const log = '{storelock} log'
const isLinked = async (replica: RedisServer): Promise<boolean> => String(await ask(replica, 'INFO', 'replication')).includes('master_link_status:up')

/**
 * Processes on a Redis whose replica lags now and then, and takes over when the primary is killed. All writes are fenced. The control uses a plain
 * store, and loses the changes that the replica had not received. In the other run each change waits for the replica, and no acknowledged write
 * may be lost.
 */
export async function openFailover(setting: Setting): Promise<Arena> {
  keepInMemory()
  let [primary, replica] = [await startRedis(settings), await startRedis(settings)]
  /** The proxies through which the workers, the runner and the replica reach the present primary. */
  const [theirs, ours, link] = [await startProxy(primary.port), await startProxy(primary.port), await startProxy(primary.port)]
  const follow = (): Promise<unknown> => ask(replica, 'REPLICAOF', '127.0.0.1', `${link.port}`)
  await follow()
  while (!(await isLinked(replica))) await sleep(20)
  let lost = 0

  const lag = async (ms: number): Promise<void> => {
    link.silent = true
    await sleep(ms / 3)
  }
  /** Cuts the link, since swallowed bytes are lost. The replica connects again and asks for what it has missed. */
  const endLag = (): void => {
    link.cut()
    link.silent = false
  }
  const failOver: Harm = async (ms, isOver) => {
    if (!(await isLinked(replica))) return false
    await lag(ms)
    const before = Number(await ask(primary, 'LLEN', log))
    await primary.kill()
    endLag()
    await ask(replica, 'REPLICAOF', 'NO', 'ONE')
    lost += Math.max(0, before - Number(await ask(replica, 'LLEN', log)))
    ;[primary, replica] = [replica, primary]
    for (const proxy of [theirs, ours, link]) {
      proxy.target = primary.port
      proxy.cut()
    }
    if (!isOver()) {
      await replica.start()
      await follow()
    }
    return true
  }
  const arena = await openOn(
    { ...setting, fenced: true },
    {
      kind: 'redis',
      url: `redis://127.0.0.1:${ours.port}`,
      workersUrl: `redis://127.0.0.1:${theirs.port}`,
      replicas: setting.fenced ? 1 : undefined,
      harms: {
        'failover to a replica that lags': failOver,
        async 'replica lags'(ms) {
          await lag(ms)
          endLag()
        },
        ...harmsOf(theirs),
      },
      async remove() {
        for (const proxy of [theirs, ours, link]) proxy.close()
        await Promise.all([primary.remove(), replica.remove()])
      },
    },
  )
  return {
    ...arena,
    control: {
      names: ['asynchronous', 'WAIT 1'],
      kinds: ['acknowledged but not written', 'lost update', 'held twice'],
      hasLost: () => lost > 0,
    },
  }
}
