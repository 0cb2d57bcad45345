import type { HeldLock, Locks } from 'storelock'
import { wrap } from 'storelock/worker'
import type { Got } from '../processes/orders.ts'

/** Which worker keeps the page's locks: the page's own, or one that all pages share. */
export type WorkerKind = 'dedicated' | 'shared'

/** Settings of the worker's locks, in ms. */
export interface KeeperSettings {
  readonly duration: number
  readonly maxSilence: number
}

/** What tests call in the page, as the global `wrapped`. */
interface Wrapped {
  readonly locks: Locks
  /** The lock that the page holds. */
  lock: HeldLock
  /** The code with which the lock's signal aborted, and the time. */
  readonly aborted: Promise<{ readonly code: string; readonly at: number }>
  acquire(name: string): Promise<Got>
  /** Blocks the page's thread. @returns whether the page still held the lock right after that */
  block(ms: number): boolean
  terminate(): void
}

declare global {
  var wrapped: Wrapped
  var startWrapped: typeof start
}

function connect(kind: WorkerKind, settings: KeeperSettings): Worker | MessagePort {
  const name = JSON.stringify(settings)
  return kind === 'dedicated'
    ? new Worker(new URL('./keeper.ts', import.meta.url), { type: 'module', name })
    : new SharedWorker(new URL('./keeper.ts', import.meta.url), { type: 'module', name }).port
}

function start(kind: WorkerKind, settings: KeeperSettings, label: string): void {
  const endpoint = connect(kind, settings)
  const locks = wrap(endpoint, { label })
  const now = () => performance.timeOrigin + performance.now()
  let aborted = (_: Awaited<Wrapped['aborted']>): void => {}
  globalThis.wrapped = {
    locks,
    lock: undefined as never,
    aborted: new Promise((resolve) => {
      aborted = resolve
    }),
    async acquire(name) {
      const lock = await locks.acquire(name)
      const at = now()
      this.lock = lock
      lock.signal.addEventListener('abort', () => aborted({ code: lock.signal.reason.code, at: now() }))
      return { token: lock.token, at }
    },
    block(ms) {
      const end = performance.now() + ms
      while (performance.now() < end);
      return this.lock.isHeld()
    },
    terminate: () => (endpoint as Worker).terminate(),
  }
}

globalThis.startWrapped = start
