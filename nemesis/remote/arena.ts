import { setTimeout as sleep } from 'node:timers/promises'
import { startEtcd } from '../../test/servers/etcd.ts'
import { startPostgres } from '../../test/servers/postgres.ts'
import { type ServerProxy, startProxy } from '../../test/servers/proxy.ts'
import { startRedis } from '../../test/servers/redis.ts'
import { keepInMemory } from '../../test/servers/running.ts'
import type { Arena, OpenArena } from '../arena.ts'
import type { Kind } from './data.ts'
import { type Harm, openOn } from './open.ts'

/** Durable servers: data that they have confirmed survives a kill. */
const servers = {
  postgres: () => startPostgres({}),
  redis: () => startRedis({ appendonly: 'yes', appendfsync: 'always' }),
  etcd: () => startEtcd(),
} satisfies Record<Kind, () => unknown>

/** Processes that use locks and data of one server, through a proxy that disturbs their connections. */
export const openRemote =
  (kind: Kind): OpenArena =>
  async (setting): Promise<Arena> => {
    keepInMemory()
    const server = await servers[kind]()
    const { port } = new URL(server.url)
    const proxy = await startProxy(Number(port))
    const killed: Harm = async (_, isOver) => {
      await server.kill()
      if (!isOver()) await server.start()
    }
    const stopped: Harm = async (ms) => {
      server.signal('SIGSTOP')
      await sleep(ms)
      server.signal('SIGCONT')
    }
    return openOn(setting, {
      kind,
      url: server.url,
      workersUrl: server.url.replace(`:${port}`, `:${proxy.port}`),
      harms: { 'server killed': killed, 'server stopped': stopped, ...harmsOf(proxy) },
      async remove() {
        proxy.close()
        await server.remove()
      },
    })
  }

/** Faults of the network. */
export const harmsOf = (proxy: ServerProxy): Readonly<Record<string, Harm>> => ({
  'connections reset': () => proxy.cut(),
  async 'connections silent'(ms) {
    proxy.silent = true
    await sleep(ms)
    // The bytes that were swallowed are lost, so the connections cannot go on.
    proxy.cut()
    proxy.silent = false
  },
  async 'connections slow'(ms) {
    proxy.delay = 50
    await sleep(ms)
    proxy.delay = 0
  },
})
