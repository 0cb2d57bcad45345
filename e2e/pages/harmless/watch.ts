/** The listeners, timers and channels that a page has, and the event types that it has ever listened for. */
interface Harm {
  readonly types: readonly string[]
  readonly listeners: number
  readonly timers: number
  readonly channels: number
}

declare global {
  var harm: () => Harm
}

/** Counts, from the start of a page, what is added to it and not removed. The global `harm` returns the counts. */
export function watchPage(): void {
  const types = new Set<string>()
  const listeners: [target: EventTarget, type: string, listener: unknown, capture: boolean][] = []
  const timers = new Set<unknown>()
  const channels = new Set<BroadcastChannel>()
  const captures = (options: unknown): boolean =>
    typeof options === 'object' ? (options as AddEventListenerOptions | null)?.capture === true : options === true
  const find = (target: EventTarget, type: string, listener: unknown, options: unknown): number =>
    listeners.findIndex((known) => known[0] === target && known[1] === type && known[2] === listener && known[3] === captures(options))
  const pageOf = (target: EventTarget | undefined): EventTarget | undefined =>
    target === undefined || target === window || target === document ? (target ?? window) : undefined

  const { addEventListener, removeEventListener } = EventTarget.prototype
  EventTarget.prototype.addEventListener = function (this: EventTarget | undefined, type: string, listener: never, options?: never) {
    const page = pageOf(this)
    if (page) types.add(type)
    if (page && find(page, type, listener, options) < 0) {
      const kept: (typeof listeners)[number] = [page, type, listener, captures(options)]
      listeners.push(kept)
      const { signal } = (options ?? {}) as AddEventListenerOptions
      // Calls the original method, so that this listener does not count.
      if (signal) addEventListener.call(signal, 'abort', () => listeners.splice(listeners.indexOf(kept), 1))
    }
    return addEventListener.call(this ?? window, type, listener, options)
  }
  EventTarget.prototype.removeEventListener = function (this: EventTarget | undefined, type: string, listener: never, options?: never) {
    const page = pageOf(this)
    const found = page ? find(page, type, listener, options) : -1
    if (found >= 0) listeners.splice(found, 1)
    return removeEventListener.call(this ?? window, type, listener, options)
  }

  const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis
  globalThis.setTimeout = ((handler: () => void, ms?: number) => {
    const id: unknown = setTimeout(() => {
      timers.delete(id)
      handler()
    }, ms)
    timers.add(id)
    return id
  }) as typeof setTimeout
  globalThis.setInterval = ((handler: () => void, ms?: number) => {
    const id = setInterval(handler, ms)
    timers.add(id)
    return id
  }) as typeof setInterval
  globalThis.clearTimeout = (id) => {
    timers.delete(id)
    clearTimeout(id)
  }
  globalThis.clearInterval = (id) => {
    timers.delete(id)
    clearInterval(id)
  }

  const { close } = BroadcastChannel.prototype
  globalThis.BroadcastChannel = class extends BroadcastChannel {
    constructor(name: string) {
      super(name)
      channels.add(this)
    }
    override close() {
      channels.delete(this)
      close.call(this)
    }
  }

  globalThis.harm = () => ({ types: [...types], listeners: listeners.length, timers: timers.size, channels: channels.size })
}
