import { standIn } from '../beacons/web-locks.ts'
import type { Locks } from '../locks/types.ts'
import { interfaces, managerOf } from './interfaces.ts'

/** A page's or a worker's global object, or what stands for one. */
export interface WebLocksTarget {
  readonly navigator: object
}

/**
 * Locks as a `LockManager`, with what the specification of Web Locks gives it and nothing more, for code that asks for one.
 * Touches no global.
 */
export function webLocks(locks: Locks): LockManager {
  return managerOf(locks)
}

/**
 * Puts locks in the place of `navigator.locks`, and `LockManager` and `Lock` beside them, so that code that knows nothing of these
 * locks uses them. Code that has taken hold of the browser's own locks before keeps those.
 *
 * @returns how to put back what was there
 * @throws TypeError if the target has no `navigator`
 */
export function installWebLocks(locks: Locks, target: WebLocksTarget = globalThis as never): () => void {
  const { navigator } = target as { readonly navigator?: { readonly locks?: LockManager } }
  if (!navigator) throw new TypeError('installWebLocks needs a global object with a navigator, which Node has from version 21 on')
  const manager = managerOf(locks)
  standIn(manager, navigator.locks)
  const { get } = Object.getOwnPropertyDescriptor(
    {
      get locks(): LockManager {
        if (this !== navigator) throw new TypeError('Illegal invocation')
        return manager
      },
    },
    'locks',
  ) as Required<PropertyDescriptor>
  const restores = [
    replace(ownerOf('locks', navigator), 'locks', { get, enumerable: true }),
    ...Object.entries(interfaces).map(([name, value]) => replace(target, name, { value, writable: true, enumerable: false })),
  ]
  return () => {
    for (const restore of restores) restore()
  }
}

/** The object in the chain of prototypes that has a property: where a browser has none yet, the first. */
function ownerOf(name: string, object: object): object {
  for (let owner: object | null = object; owner; owner = Object.getPrototypeOf(owner)) if (Object.hasOwn(owner, name)) return owner
  return object
}

function replace(owner: object, name: string, property: PropertyDescriptor): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name)
  Object.defineProperty(owner, name, { ...property, configurable: true })
  return () => {
    if (before) Object.defineProperty(owner, name, before)
    else Reflect.deleteProperty(owner, name)
  }
}
