import type { HeldLock, Locks } from 'storelock'
import { wrap } from 'storelock/worker'

/** Which worker keeps the page's locks: one of its own, or one that all pages share. */
export type WorkerKind = 'dedicated' | 'shared'

/** Of the worker's locks, in ms. */
export interface KeeperSettings {
  readonly duration: number
  readonly maxSilence: number
}

/** What tests use in a page, as the global `wrapped`. */
interface Wrapped {
  readonly locks: Locks
  /** The lock that the page holds. */
  lock: HeldLock
  /** The code with which its signal aborted. */
  readonly aborted: Promise<string>
  acquire(name: string): Promise<number>
  /** Keeps the page's thread busy. @returns whether it held the lock in the first line after that */
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
  let aborted = (_: string): void => {}
  globalThis.wrapped = {
    locks,
    lock: undefined as never,
    aborted: new Promise((resolve) => {
      aborted = resolve
    }),
    async acquire(name) {
      const lock = await locks.acquire(name)
      this.lock = lock
      lock.signal.addEventListener('abort', () => aborted(lock.signal.reason.code))
      return lock.token
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
