// The script of tabs for the figures of `../worker.ts`: each tab's locks are kept by its own worker.
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'
import { expose, wrap } from 'storelock/worker'

/** Settings of the worker's locks, in ms. */
export interface KeeperSettings {
  readonly duration: number
  readonly maxSilence: number
}

/** What `../worker.ts` calls in each of its tabs. Times in ms. */
interface KeptTab {
  start(script: string, settings: KeeperSettings): void
  /** Requests the lock. */
  ask(): void
  /** The time of the grant, on a clock that is nearly the same in all tabs. */
  grantedAt(): Promise<number>
  /** Blocks the thread. @returns the time at which it began */
  block(ms: number): number
  /** Whether the lock is held, after the worker has been asked. */
  isHeld(): Promise<boolean>
  release(): Promise<void>
  waiting(): Promise<number>
}

declare global {
  var keptTab: KeptTab
}

const now = (): number => performance.timeOrigin + performance.now()

if ('document' in globalThis) {
  let locks: ReturnType<typeof wrap>
  let granted: ReturnType<(typeof locks)['acquire']>
  let at = 0
  globalThis.keptTab = {
    start(script, settings) {
      const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
      locks = wrap(new Worker(url, { type: 'module', name: JSON.stringify(settings) }))
    },
    ask() {
      granted = locks.acquire('l')
      granted.then(() => {
        at = now()
      })
    },
    async grantedAt() {
      await granted
      return at
    },
    block(ms) {
      const began = now()
      while (now() < began + ms);
      return began
    },
    async isHeld() {
      const lock = await granted
      await lock.renew().catch(() => {})
      return lock.isHeld()
    },
    async release() {
      await (await granted).release()
    },
    async waiting() {
      return (await locks.query('l')).pending.length
    },
  }
} else {
  const { duration, maxSilence } = JSON.parse((globalThis as unknown as { readonly name: string }).name) as KeeperSettings
  expose(createLocks({ store: indexedDBStore('kept'), duration }), undefined, { maxSilence })
}
