import type { Locks } from 'storelock'
import type { Side } from '../rounds.ts'

/** What is measured of a tree: a side for each figure. */
export interface Opened {
  readonly sides: Readonly<Record<string, Side>>
  close(): Promise<void>
}

declare global {
  /** Each tree's bundle adds itself here when it is loaded. */
  var trees: ((place: string) => Promise<Opened>)[] | undefined
}

/** Adds this tree to the comparison. @param open opens its store at a place of its own */
export function measureMe(open: (place: string) => Promise<Opened>): void {
  globalThis.trees ??= []
  globalThis.trees.push(open)
}

export const acquireRelease = (locks: Locks, iterations: number): Side => ({
  iterations,
  async run(count) {
    for (let i = 0; i < count; i++) {
      const lock = await locks.acquire('job')
      await lock.release()
    }
  },
})

export function reentrant(locks: Locks, iterations: number): Side {
  const job = locks.reentrant('held')
  return {
    iterations,
    async run(count) {
      const first = await job.acquire()
      for (let i = 0; i < count; i++) {
        const guard = await job.acquire()
        await guard.release()
      }
      await first.release()
    },
  }
}
