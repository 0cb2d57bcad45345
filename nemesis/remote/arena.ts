import { setTimeout as sleep } from 'node:timers/promises'
import { startEtcd } from '../../test/servers/etcd.ts'
import { startPostgres } from '../../test/servers/postgres.ts'
import { type ServerProxy, startProxy } from '../../test/servers/proxy.ts'
import { startRedis } from '../../test/servers/redis.ts'
import type { Arena, Fault, OpenArena } from '../arena.ts'
import { runProcesses, type Start } from '../processes.ts'
import { type Kind, openData } from './data.ts'
import type { RemoteStart } from './worker.ts'

/** A server that is durable: what it has confirmed is still there after it was killed. */
const servers = {
  postgres: () => startPostgres({}),
  redis: () => startRedis({ appendonly: 'yes', appendfsync: 'always' }),
  etcd: () => startEtcd(),
} satisfies Record<Kind, () => unknown>

/** Processes that use locks and data of one server, by a proxy that disturbs them. */
export const openRemote =
  (kind: Kind): OpenArena =>
  async (setting): Promise<Arena> => {
    const server = await servers[kind]()
    const { port } = new URL(server.url)
    const proxy: ServerProxy = await startProxy(Number(port))
    const data = openData(kind, server.url)
    await data.prepare?.()
    const more: Omit<RemoteStart, keyof Start> = { kind, url: server.url.replace(`:${port}`, `:${proxy.port}`) }
    const { obey: _, ...processes } = await runProcesses(setting, 'nemesis/remote/worker.ts', more)
    let troubled = false
    let closed = false
    let seen = 0

    /** One fault of the server, or of the way to it, at a time. */
    const suffer =
      (harm: (ms: number) => Promise<unknown> | unknown): Fault['inflict'] =>
      async (_, ms) => {
        if (troubled || closed) return false
        troubled = true
        try {
          await harm(ms)
        } finally {
          troubled = false
        }
        return true
      }
    const faults: Fault[] = [
      {
        kind: 'server killed',
        inflict: suffer(async () => {
          await server.kill()
          if (!closed) await server.start()
        }),
      },
      {
        kind: 'server stopped',
        inflict: suffer(async (ms) => {
          server.signal('SIGSTOP')
          await sleep(ms)
          server.signal('SIGCONT')
        }),
      },
      { kind: 'connections reset', inflict: suffer(() => proxy.cut()) },
      {
        kind: 'connections silent',
        inflict: suffer(async (ms) => {
          proxy.silent = true
          await sleep(ms)
          // What was swallowed does not come back.
          proxy.cut()
          proxy.silent = false
        }),
      },
      {
        kind: 'connections slow',
        inflict: suffer(async (ms) => {
          proxy.delay = 50
          await sleep(ms)
          proxy.delay = 0
        }),
      },
    ]
    /** Asks until the server answers. */
    const insist = async <T>(ask: () => Promise<T>): Promise<T> => {
      for (;;) {
        try {
          return await ask()
        } catch (error) {
          if (closed) throw error
          await sleep(100)
        }
      }
    }
    return {
      ...processes,
      faults: [...processes.faults, ...faults],
      async holder(key) {
        const view = await data.store.read(key).catch(() => undefined)
        return view?.sessions.get(view.holders[0]?.session ?? '')?.label?.replace(/\.\d+$/, '')
      },
      async written() {
        seen = await data.written().catch(() => seen)
        return seen
      },
      final: () => insist(() => data.final()),
      // They share one clock.
      allowed: { skew: 0, afterWipe: 0 },
      async close() {
        closed = true
        await processes.close()
        await data.close()
        proxy.close()
        await server.remove()
      },
    }
  }
