import { createRequire } from 'node:module'
import type { Side } from '../rounds.ts'

// Its ESM build is several times slower than the CJS one that `require` finds.
const { Mutex }: typeof import('async-mutex') = createRequire(import.meta.url)('async-mutex')

/** Locks within one process, without a store: an acquire and a release of each. */
export const asyncMutex = (): Side => {
  const mutex = new Mutex()
  return {
    iterations: 5_000,
    async run(iterations) {
      for (let i = 0; i < iterations; i++) {
        const release = await mutex.acquire()
        release()
      }
    },
  }
}

/** Node's own Web Locks, from Node 24 on. */
export const nodeLocks = (): Side | undefined => {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks
  if (!locks) {
    console.error(`Node's navigator.locks are left out: Node ${process.versions.node} has none. To have them: run the bench with Node 24 or newer`)
    return undefined
  }
  return {
    iterations: 500,
    async run(iterations) {
      for (let i = 0; i < iterations; i++) await locks.request('job', async () => {})
    },
  }
}
