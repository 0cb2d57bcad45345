/** Where a handle keeps what is behind it: as a function, since what makes state reactive wraps objects and leaves functions alone. */
const behind = Symbol('behind')

/**
 * Makes what users are handed of objects of ours: it may be kept in reactive state, behind a `Proxy`, and its methods may be taken off it
 * (`const { release } = lock`). Private members, and `this`, would fail there.
 * @param parts how to have each member of the handle of what is behind it, a method as a function without `this`. Each is written out: to look
 * members up by name at every use takes longer than a re-entrant lock takes to be had
 */
export function handles<T, Shown extends object>(parts: { readonly [Name in keyof Shown]: (object: T) => Shown[Name] }): (object: T) => Shown {
  class Handle {
    readonly [behind]: () => T

    constructor(object: T) {
      this[behind] = () => object
    }
  }
  for (const name of Reflect.ownKeys(parts) as (keyof Shown)[]) {
    const part = parts[name]
    Object.defineProperty(Handle.prototype, name, {
      get(this: Handle) {
        return part(this[behind]())
      },
    })
  }
  return (object) => new Handle(object) as unknown as Shown
}

/** The object of ours that a handle stands for. */
export const behindHandle = <T>(handle: object): T => (handle as { readonly [behind]: () => T })[behind]()
