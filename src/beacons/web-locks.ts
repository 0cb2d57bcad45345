import type { Beacon, RaisedBeacon } from '../store.ts'
import { type Around, Managers } from './web-locks/managers.ts'

export interface WebLocksBeacon extends Beacon {
  /** Called when the storage was cleared: other contexts may have another lock manager than this one. */
  doubt(): void
  /** Resolves when it turns out that other contexts have another lock manager. */
  readonly parted: Promise<void>
}

/**
 * Holds a native lock of this name as a beacon until it is lowered. Rejects if the browser refuses it.
 * @param refused is called in that case
 */
export function raiseLock(locks: LockManager, name: string, refused: (error: unknown) => void): Promise<RaisedBeacon> {
  return new Promise((resolve, reject) => {
    let goOut: () => void
    let isUp = false
    const lost = new Promise<void>((resolve) => {
      goOut = resolve
    })
    const hold = (): Promise<void> => {
      isUp = true
      return new Promise<void>((lower) => resolve({ address: name, lost, lower }))
    }
    // The request rejects if the lock is refused, or stolen later.
    locks.request(name, hold).catch((error) => {
      if (!isUp) refused(error)
      reject(error)
      goOut()
    })
  })
}

/**
 * A beacon for the tabs and workers of an origin: a native Web Lock for each session, which the browser takes away from a tab or worker that dies,
 * and never from one that hangs. Watchers request that lock in shared mode, so that all of them are notified. Chromium does not freeze a tab while it
 * holds a Web Lock. A free lock is a proof only within one lock manager: see {@link Managers}.
 *
 * @param name separates these locks from all others of the origin
 * @param refused is called when the browser refuses a lock for a beacon
 */
export function webLocksBeacon(name: string, locks: LockManager, refused: (error: unknown) => void, around: Around = {}): WebLocksBeacon {
  const managers = new Managers(name, locks, around)
  return {
    parted: managers.parted,
    doubt: () => managers.doubt(false),
    lockFor: (session) => managers.lockFor(session),
    async raise(session) {
      const lock = await managers.lockFor(session).catch((error) => {
        refused(error)
        throw error
      })
      const { lost, lower } = await raiseLock(locks, lock, refused)
      const hearNoMore = managers.listen()
      return {
        get address() {
          return managers.addressOf(lock)
        },
        moved: managers.parted,
        lost,
        lower() {
          hearNoMore()
          lower()
        },
        doubt: () => managers.doubt(true),
      }
    },
    watch: (address, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const hearNoMore = managers.listen()
        const end = (tell: () => void) => (): void => {
          hearNoMore()
          tell()
        }
        signal.addEventListener(
          'abort',
          end(() => reject(signal.reason)),
          { once: true },
        )
        const wait = (lock: string): Promise<void> => locks.request(lock, { mode: 'shared', signal }, end(resolve)).catch(reject)
        const place = managers.placeOf(address)
        // A lock that was never held is free too, and proves nothing, so never request a lock that is not a beacon of ours.
        if (!place) return
        const { lock } = place
        if (managers.isOurs(place)) wait(lock)
        else
          managers.judge(place).then((proof) => {
            if (proof === 'ours') wait(lock)
            else if (proof) end(resolve)()
          }, reject)
      }),
    async isOut(address) {
      const place = managers.placeOf(address)
      if (!place) return false
      const proof = await managers.judge(place)
      return proof === 'ours' ? locks.request(place.lock, { mode: 'shared', ifAvailable: true }, (lock) => lock !== null) : proof === 'gone'
    },
  }
}

/**
 * The lock managers that replace the browser's own, with the managers that they replace. Beacons need the browser's own: locks in a store prove no
 * death.
 */
const standIns = new WeakMap<LockManager, LockManager | undefined>()

/** Remembers which lock manager another one replaces. */
export function standIn(locks: LockManager, original: LockManager | undefined): void {
  standIns.set(locks, original)
}

/** The browser's own lock manager, even if it was replaced. */
export function browserLocks(): LockManager | undefined {
  let locks = (globalThis as { navigator?: Partial<Navigator> }).navigator?.locks
  while (locks && standIns.has(locks)) locks = standIns.get(locks)
  return locks
}
