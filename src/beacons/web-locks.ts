import type { Beacon, RaisedBeacon } from '../store.ts'
import { type Around, Managers } from './web-locks/managers.ts'

export interface WebLocksBeacon extends Beacon {
  /** The storage was cleared: others may come to have another lock manager than this context. */
  doubt(): void
  /** Resolves when it turns out that others do. */
  readonly parted: Promise<void>
}

/**
 * Holds a native lock of this name as a beacon until it is lowered. Rejects if the browser does not give it.
 * @param refused is called then
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
    // It rejects if the lock is refused, or stolen later.
    locks.request(name, hold).catch((error) => {
      if (!isUp) refused(error)
      reject(error)
      goOut()
    })
  })
}

/**
 * A beacon for the tabs and workers of an origin: a native Web Lock for each session, which the browser takes away from a tab or
 * worker that dies, and never from one that hangs. Who watches waits for that lock, in shared mode, so that all are told.
 * Chromium does not freeze a tab while it has one. It is a proof only within one lock manager: see {@link Managers}.
 *
 * @param name keeps these apart from all other locks of the origin
 * @param refused is called when the browser does not give a lock for a beacon
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
        // A lock that nobody ever had is free too, and proves nothing: what is none of ours is never asked for.
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
