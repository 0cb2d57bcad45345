import type { Beacon, RaisedBeacon } from '../store.ts'

/**
 * A beacon for the tabs and workers of an origin: a native Web Lock for each session, which the browser takes away from a tab or
 * worker that dies, and never from one that hangs. Who watches waits for that lock, in shared mode, so that all are told.
 * Chromium does not freeze a tab while it has one.
 *
 * @param name keeps these apart from all other locks of the origin
 * @param refused is called when the browser does not give a lock for a beacon
 */
export function webLocksBeacon(name: string, locks: LockManager, refused: (error: unknown) => void): Beacon {
  const prefix = `${name} `
  return {
    webLocks: name,
    raise: (session) =>
      new Promise((resolve, reject) => {
        const address = prefix + session
        let goOut: () => void
        let isUp = false
        const lost = new Promise<void>((resolve) => {
          goOut = resolve
        })
        const hold = (): Promise<void> => {
          isUp = true
          const lowered = new Promise<void>((lower) => {
            resolve({ address, lost, lower } satisfies RaisedBeacon)
          })
          return lowered
        }
        // It rejects if the lock is refused, or stolen later.
        locks.request(address, hold).catch((error) => {
          if (!isUp) refused(error)
          reject(error)
          goOut()
        })
      }),
    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => reject(signal.reason)
        if (address.startsWith(prefix)) locks.request(address, { mode: 'shared', signal }, () => resolve()).catch(reject)
        // A lock that nobody ever had is free too, and proves nothing: what is none of ours is never asked for.
        else if (signal.aborted) stop()
        else signal.addEventListener('abort', stop, { once: true })
      }),
    isOut: async (address) => address.startsWith(prefix) && locks.request(address, { mode: 'shared', ifAvailable: true }, (lock) => lock !== null),
  }
}

/** What stands in the browser's place, and for what: locks that live in a store prove no death. */
const standIns = new WeakMap<LockManager, LockManager | undefined>()

/** Remembers whose place a lock manager took. */
export function standIn(locks: LockManager, original: LockManager | undefined): void {
  standIns.set(locks, original)
}

/** The browser's own locks, whatever stands in their place. */
export function browserLocks(): LockManager | undefined {
  let locks = (globalThis as { navigator?: Partial<Navigator> }).navigator?.locks
  while (locks && standIns.has(locks)) locks = standIns.get(locks)
  return locks
}
