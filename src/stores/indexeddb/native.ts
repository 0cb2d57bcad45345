const itself = Symbol('itself')

/**
 * The browser's own object inside a proxy that a library has made of it, such as idb, in whichever copy or version: a getter that is defined through
 * the proxy is called with what is behind it.
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
