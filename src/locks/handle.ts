/** Where a handle keeps what is behind it: as a function, since what makes state reactive wraps objects and leaves functions alone. */
const behind = Symbol('behind')

interface Handle<T> {
  readonly [behind]: () => T
}

/**
 * Makes what users are handed of objects of ours: it may be kept in reactive state, behind a `Proxy`, and its methods may be taken off it
 * (`const { release } = lock`). Private members, and `this`, would fail there.
 */
export function handles<T extends Shown, Shown extends object>(
  methods: readonly (keyof Shown)[],
  values: readonly (keyof Shown)[],
): (object: T) => Shown {
  class Made implements Handle<T> {
    readonly [behind]: () => T

    constructor(object: T) {
      this[behind] = () => object
    }
  }
  const show = (name: keyof Shown, get: (object: never) => unknown): void => {
    Object.defineProperty(Made.prototype, name, {
      get(this: Handle<never>) {
        return get(this[behind]())
      },
    })
  }
  for (const name of values) show(name, (object) => object[name])
  for (const name of methods)
    show(
      name,
      (object: Record<typeof name, (...args: unknown[]) => unknown>) =>
        (...args: unknown[]) =>
          object[name](...args),
    )
  return (object) => new Made(object) as unknown as Shown
}

/** The object of ours that a handle stands for. */
export const behindHandle = <T>(handle: object): T => (handle as Handle<T>)[behind]()
