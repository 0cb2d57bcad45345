const itself = Symbol('itself')

/**
 * The browser's own object behind the proxy of a library such as idb, in any copy or version: a getter that is defined through the proxy is called on
 * the object behind it.
 */
export function nativeOf(object: object): object {
  let native = object
  const get = function (this: object): void {
    native = this
  }
  Object.defineProperty(object, itself, { configurable: true, get })
  Reflect.get(object, itself)
  Reflect.deleteProperty(object, itself)
  return native
}
