import { standIn } from '../beacons/web-locks.ts'
import type { Locks } from '../locks/types.ts'
import { interfaces, managerOf } from './interfaces.ts'

/** The global object of a page or a worker, or a substitute. */
export interface WebLocksTarget {
  readonly navigator: object
}

/** Locks as a `LockManager`, with exactly what the specification of Web Locks defines. Touches no global. */
export function webLocks(locks: Locks): LockManager {
  return managerOf(locks)
}

/**
 * Replaces `navigator.locks`, `LockManager` and `Lock`, so that code that knows nothing of storelock uses these locks. Code that has already read
 * `navigator.locks` keeps the browser's.
 *
 * @returns a function that restores the originals
 * @throws TypeError if the target has no `navigator`
 */
export function installWebLocks(locks: Locks, target: WebLocksTarget = globalThis as never): () => void {
  const { navigator } = target as { readonly navigator?: { readonly locks?: LockManager } }
  if (!navigator) throw new TypeError('installWebLocks needs a global object with a navigator, which Node has since version 21')
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

/** The object in the prototype chain that has a property; the first object if there is none. */
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
