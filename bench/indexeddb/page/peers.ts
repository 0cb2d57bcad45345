import { BroadcastChannel, createLeaderElection } from 'broadcast-channel'
import tabsLock from 'browser-tabs-lock'
import idbMutex from 'idb-mutex'
import { LockManager } from 'navigator.locks/dist/polyfill.js'
import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** One tab's end of a lock between tabs. */
export interface TabLock {
  /** @returns a function that releases the lock */
  acquire(): Promise<() => unknown>
  /** Resolves when the request is waiting. */
  queued(): Promise<void>
}

const name = 'handoff'

/** Each lock is made when it is first used, since some of them keep running. */
const makers = {
  ours() {
    const locks = createLocks({ store: indexedDBStore('bench'), duration: 10_000, maxBackoff: 60_000 })
    return withCallbacks((callback) => locks.request(name, callback), { query: () => locks.query(name) })
  },
  webLocks: () => withCallbacks((callback) => navigator.locks.request(name, callback), navigator.locks),
  idbMutex: () => idbMutexEvery(50),
  idbMutexTight: () => idbMutexEvery(1),
  tabsLock() {
    const lock = new tabsLock.default()
    return {
      async acquire() {
        if (!(await lock.acquireLock(name, 60_000))) throw new Error('browser-tabs-lock gave up')
        return () => lock.releaseLock(name)
      },
      // It first looks after 30 ms, and then waits for at least 50 ms.
      queued: () => pause(100, 180),
    }
  },
  polyfill() {
    const locks = new LockManager()
    return withCallbacks((callback) => locks.request(name, callback), locks)
  },
  leader: () => leadership(() => webLockWaits('pubkey-bc')),
  leaderByMessages() {
    // Hides Web Locks while it is made, so that it elects as in a browser without them.
    const without = <T>(make: () => T): T => {
      Object.defineProperty(navigator, 'locks', { value: undefined, configurable: true })
      try {
        return make()
      } finally {
        Reflect.deleteProperty(navigator, 'locks')
      }
    }
    // Its first try takes twice 150 ms.
    return leadership(() => pause(400, 700), without)
  },
} satisfies Record<string, () => TabLock>

/** Whose locks are measured. */
export type Kind = keyof typeof makers

const made = new Map<Kind, TabLock>()

export function peer(kind: Kind): TabLock {
  const lock = made.get(kind) ?? makers[kind]()
  made.set(kind, lock)
  return lock
}

interface Queries {
  query(): Promise<{ readonly pending?: readonly { readonly name?: string }[] | undefined }>
}

function withCallbacks(request: (callback: () => Promise<void>) => Promise<unknown>, queries: Queries): TabLock {
  return {
    acquire: () =>
      new Promise((resolve, reject) => {
        const settled = request(
          () =>
            new Promise((release) => {
              resolve(() => {
                release()
                return settled
              })
            }),
        )
        settled.catch(reject)
      }),
    async queued() {
      while (!(await queries.query()).pending?.some((lock) => lock.name === name));
    },
  }
}

function idbMutexEvery(spinDelay: number): TabLock {
  const mutex = new idbMutex.default(name, null, { spinDelay })
  return {
    async acquire() {
      await mutex.lock()
      return () => mutex.unlock()
    },
    // Ends at a random time of its pause.
    queued: () => pause(10, 10 + spinDelay),
  }
}

/** A lock whose holder is the leader, and releases it by `die()`. */
function leadership(queued: () => Promise<void>, make = <T>(elect: () => T): T => elect()): TabLock {
  return {
    async acquire() {
      const channel = new BroadcastChannel(`${name} ${queued}`)
      const elector = make(() => createLeaderElection(channel))
      await elector.awaitLeadership()
      return async () => {
        await elector.die()
        await channel.close()
      }
    },
    queued,
  }
}

async function webLockWaits(start: string): Promise<void> {
  while (!(await navigator.locks.query()).pending?.some((lock) => lock.name?.startsWith(start)));
}

/** Waits for a random time, in ms. */
const pause = (from: number, to: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, from + Math.random() * (to - from)))
