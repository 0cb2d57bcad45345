import { asyncDispose, behind, Handle } from './handle.ts'
import type { Hold } from './hold.ts'
import type { HeldLock } from './types.ts'

/** The handle of a held lock. */
export class HeldHandle<Lock extends HeldLock> extends Handle<Lock> implements HeldLock {
  get assertHeld(): HeldLock['assertHeld'] {
    const lock = this[behind]()
    return () => lock.assertHeld()
  }

  get isHeld(): HeldLock['isHeld'] {
    const lock = this[behind]()
    return () => lock.isHeld()
  }

  get release(): HeldLock['release'] {
    const lock = this[behind]()
    return () => lock.release()
  }

  get renew(): HeldLock['renew'] {
    const lock = this[behind]()
    return (duration) => lock.renew(duration)
  }

  get [asyncDispose](): HeldLock[typeof asyncDispose] {
    const lock = this[behind]()
    return () => lock[asyncDispose]()
  }

  get dirty(): HeldLock['dirty'] {
    return this[behind]().dirty
  }

  get key(): HeldLock['key'] {
    return this[behind]().key
  }

  get mode(): HeldLock['mode'] {
    return this[behind]().mode
  }

  get name(): HeldLock['name'] {
    return this[behind]().name
  }

  get previous(): HeldLock['previous'] {
    return this[behind]().previous
  }

  get session(): HeldLock['session'] {
    return this[behind]().session
  }

  get signal(): HeldLock['signal'] {
    return this[behind]().signal
  }

  get token(): HeldLock['token'] {
    return this[behind]().token
  }
}

/** The handle of a hold, which transactions can check. */
export class HoldHandle extends HeldHandle<Hold> {
  get checked(): NonNullable<HeldLock['checked']> {
    const hold = this[behind]()
    return (alone) => hold.checked(alone)
  }
}

export const heldLock = (hold: Hold): HeldLock => new HoldHandle(hold)
