import { setTimeout as sleep } from 'node:timers/promises'
import type { Arena, Fault, Setting } from '../arena.ts'
import { runProcesses, type Start } from '../processes.ts'
import { type Data, type Kind, openData } from './data.ts'
import type { RemoteStart } from './worker.ts'

/** In ms. Hints wake the waiters of these stores, and more frequent looks would only load the server. */
const maxBackoff = 200
/** A server's fault holds up all workers, so it is shorter than a worker's: some end before the locks are lost, and some do not. */
const share = 1 / 2

/** Harms a server or the network. `isOver` tells whether the run has ended meanwhile. @returns false if nothing happened */
export type Harm = (ms: number, isOver: () => boolean) => unknown

/** One or more servers and their faults. Only one of these faults happens at a time. */
export interface Servers {
  readonly kind: Kind
  /** The URL that the runner uses, without the proxies that disturb the workers. */
  readonly url: string
  /** The URL to which the workers connect. */
  readonly workersUrl: string
  /** How many replicas must have a change before it is confirmed. */
  readonly replicas?: number | undefined
  readonly harms: Readonly<Record<string, Harm>>
  remove(): Promise<unknown>
}

/** Processes that use locks and data of the same servers. */
export async function openOn(setting: Setting, servers: Servers): Promise<Arena & { readonly data: Data }> {
  const { kind, url, workersUrl, replicas, harms, remove } = servers
  const data = openData(kind, url)
  await data.prepare?.()
  const more: Omit<RemoteStart, keyof Start> & Partial<Start> = { kind, url: workersUrl, replicas, maxBackoff }
  const { obey: _, ...processes } = await runProcesses(setting, 'nemesis/remote/worker.ts', more)
  let troubled = false
  let closed = false
  let seen = 0

  const faults = Object.entries(harms).map(
    ([kind, harm]): Fault => ({
      kind,
      async inflict(_, ms) {
        if (troubled || closed) return false
        troubled = true
        try {
          return (await harm(ms * share, () => closed)) !== false
        } finally {
          troubled = false
        }
      },
    }),
  )
  /** Repeats a call until the server answers. */
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
    data,
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
    // All workers share one clock.
    allowed: { skew: 0, afterWipe: 0 },
    async close() {
      closed = true
      await processes.close()
      await data.close()
      await remove()
    },
  }
}
