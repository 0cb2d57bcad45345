// The package has no types. These are for the part that the bench uses.
declare module 'redlock' {
  class Redlock {
    constructor(clients: readonly object[], options?: Redlock.Options)
    /** @param ttl in ms */
    lock(resource: string, ttl: number): Promise<{ unlock(): Promise<void> }>
  }
  namespace Redlock {
    interface Options {
      /** -1 for ever. */
      retryCount?: number
      /** In ms. */
      retryDelay?: number
      /** In ms. */
      retryJitter?: number
    }
  }
  export = Redlock
}
