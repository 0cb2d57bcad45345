/** Where a handle keeps what is behind it: as a function, since what makes state reactive wraps objects and leaves functions alone. */
export const behind: unique symbol = Symbol('behind')

/**
 * What users are handed of an object of ours: it may be kept in reactive state, behind a `Proxy`, and its methods may be taken off it
 * (`const { release } = lock`). Private members, and `this`, would fail there, so each method is a getter that gives a function.
 * They are written out in each class: found by name, or made by one function for all, they take longer than a re-entrant lock takes to be had.
 */
export class Handle<T> {
  readonly [behind]: () => T

  constructor(object: T) {
    this[behind] = () => object
  }
}
