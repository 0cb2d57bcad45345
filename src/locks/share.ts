import { LockError } from '../protocol/index.ts'
import { asyncDispose, behind } from './handle.ts'
import type { HoldHandle } from './held-handle.ts'
import type { Hold } from './hold.ts'
import type { Guard, HeldLock, ReentrantLock } from './types.ts'

/** One hold and the number of its users. */
export interface Shared {
  readonly hold: Hold
  users: number
  /** The last user has released its share. */
  over?(): void
}

/** What releasing a share returns, unless it is the last one. */
const nothing = Promise.resolve()

function giveBack(shared: Shared): Promise<void> {
  shared.over?.()
  return shared.hold.release()
}

/** One user's share of a hold, as a handle; releasing the last one releases the hold. */
class GuardHandle implements Guard {
  /** Its contents, in a function as in other handles. */
  readonly [behind]: () => { readonly shared: Shared; readonly released: Promise<void> | undefined }
  /** Made in the constructor, not on use, since every share is released. */
  readonly release: () => Promise<void>

  constructor(shared: Shared) {
    shared.users++
    let released: Promise<void> | undefined
    this[behind] = () => ({ shared, released })
    this.release = () => {
      released ??= --shared.users === 0 ? giveBack(shared) : nothing
      return released
    }
  }

  get [asyncDispose](): () => Promise<void> {
    const { release } = this
    return () => release().catch(() => {})
  }

  get isHeld(): () => boolean {
    const share = this[behind]
    return () => {
      const { shared, released } = share()
      return !released && shared.hold.isHeld()
    }
  }

  get assertHeld(): () => void {
    const share = this[behind]
    return () => {
      const { shared, released } = share()
      if (released) throw new LockError('not-held', `this guard of ${JSON.stringify(shared.hold.name)} was released`)
      shared.hold.assertHeld()
    }
  }

  get clone(): () => Guard {
    const { [behind]: share, assertHeld } = this
    return () => {
      assertHeld()
      return guardOf(share().shared)
    }
  }

  get checked(): NonNullable<Guard['checked']> {
    const { hold } = this[behind]().shared
    return (alone) => hold.checked(alone)
  }

  get key(): string {
    return this[behind]().shared.hold.key
  }

  get name(): string {
    return this[behind]().shared.hold.name
  }

  get session(): string {
    return this[behind]().shared.hold.session
  }

  get signal(): AbortSignal {
    return this[behind]().shared.hold.signal
  }

  get token(): number {
    return this[behind]().shared.hold.token
  }
}

/** One more user's share of a hold. */
export const guardOf = (shared: Shared): Guard => new GuardHandle(shared)

/** The hold behind a user's handle. */
export const holdOf = (lock: HeldLock | Guard): Hold => (lock instanceof GuardHandle ? lock[behind]().shared.hold : (lock as HoldHandle)[behind]())

/** A user's handle of a re-entrant lock: closures, since private members would fail behind a `Proxy`. */
export const reentrantLock = (lock: ReentrantLock): ReentrantLock => ({
  get name() {
    return lock.name
  },
  get dirty() {
    return lock.dirty
  },
  clearDirty: () => lock.clearDirty(),
  isHeld: () => lock.isHeld(),
  acquire: (options) => lock.acquire(options),
  tryAcquire: (options) => lock.tryAcquire(options),
})
