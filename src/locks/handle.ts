/** Engines without `await using` do not have this symbol, and do not look for it. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** Where a handle keeps its contents: in a function, since libraries for reactive state wrap objects but not functions. */
export const behind: unique symbol = Symbol('behind')

/**
 * The object that a user gets in place of an internal one. It may be kept in reactive state, behind a `Proxy`, and its methods may be detached
 * (`const { release } = lock`). Private members and `this` would fail there, so each method is a getter that returns a function. They are written out
 * in each class: generic versions would take longer than acquiring a re-entrant lock.
 */
export class Handle<T> {
  readonly [behind]: () => T

  constructor(object: T) {
    this[behind] = () => object
  }
}
