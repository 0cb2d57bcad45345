import type * as Comlink from 'comlink'

/** A browser's worker, a port to one, or the global scope inside it. */
interface Target extends Pick<EventTarget, 'addEventListener' | 'removeEventListener'> {
  postMessage(message: unknown): void
  start?(): void
}

/** A worker or port of Node's `worker_threads`, or a port of Electron. */
interface Emitter {
  postMessage(message: unknown): void
  on(type: string, listener: (message: unknown) => void): unknown
  off(type: string, listener: (message: unknown) => void): unknown
  start?(): void
}

/** One end of a connection between two contexts, in a browser, in Node or in Electron. */
export type Endpoint = Target | Emitter

/** What a page sends when it opens a lane. */
export interface Hello {
  readonly label?: string | undefined
  /** Names the page itself, for all lanes that it opens. */
  readonly realm: string
}

/** A message on an endpoint. Each `wrap` has a lane of its own, so an endpoint can carry other things as well. */
interface Parcel {
  /** The lane. */
  readonly storelock: string
  readonly hello?: Hello
  readonly message?: unknown
}

/** The lane of messages to every lane: a worker announces that it is ready, so that pages that called before it listened call again. */
const everyone = ''

export const sayReady = (endpoint: Endpoint): void => endpoint.postMessage({ storelock: everyone } satisfies Parcel)

/** Calls `opened` for each lane that the other side opens, and `over` when that side is known to be gone. @returns a function that stops this */
export function acceptLanes(endpoint: Endpoint, opened: (lane: Lane, hello: Hello) => void, over: () => void): () => void {
  const known = new Set<string>()
  const stops = [
    listen(endpoint, ({ storelock: id, hello }) => {
      if (!hello || known.has(id)) return
      known.add(id)
      opened(new Lane(endpoint, id), hello)
    }),
    onGone(endpoint, over),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Calls `gone` when the other side is known to be gone; only newer engines report that. @returns a function that stops this */
export function onGone(endpoint: Endpoint, gone: () => void): () => void {
  const stops = ['close', 'exit'].map((type) => on(endpoint, type, gone))
  return () => {
    for (const stop of stops) stop()
  }
}

/** One end of a lane, for comlink. */
export class Lane implements Comlink.Endpoint {
  readonly #endpoint: Endpoint
  readonly #id: string
  readonly #stops = new Map<unknown, () => void>()
  #closed = false

  constructor(endpoint: Endpoint, id: string) {
    this.#endpoint = endpoint
    this.#id = id
  }

  /** Sends the hello and calls `greet`, now and again whenever the other side announces that it is ready. */
  open(hello: Hello, greet: () => void): void {
    const call = (): void => {
      this.#endpoint.postMessage({ storelock: this.#id, hello } satisfies Parcel)
      greet()
    }
    this.#stops.set(
      greet,
      listen(this.#endpoint, ({ storelock }) => storelock === everyone && call()),
    )
    call()
  }

  postMessage(message: unknown): void {
    if (!this.#closed) this.#endpoint.postMessage({ storelock: this.#id, message } satisfies Parcel)
  }

  addEventListener(_: string, listener: EventListenerOrEventListenerObject): void {
    const hear = listener as unknown as (event: { readonly data: unknown }) => void
    const stop = listen(this.#endpoint, ({ storelock, message }) => {
      if (storelock === this.#id && message) hear({ data: message })
    })
    this.#stops.set(listener, stop)
  }

  removeEventListener(_: string, listener: EventListenerOrEventListenerObject): void {
    this.#stops.get(listener)?.()
    this.#stops.delete(listener)
  }

  close(): void {
    this.#closed = true
    for (const stop of this.#stops.values()) stop()
    this.#stops.clear()
  }
}

function listen(endpoint: Endpoint, hear: (parcel: Parcel) => void): () => void {
  const stop = on(endpoint, 'message', (event) => {
    // Node's emitters pass the message itself; all other endpoints pass an event.
    const parcel = ('storelock' in event ? event : event.data) as Partial<Parcel> | undefined
    if (typeof parcel?.storelock === 'string') hear(parcel as Parcel)
  })
  endpoint.start?.()
  return stop
}

function on(endpoint: Endpoint, type: string, hear: (event: { readonly data?: unknown }) => void): () => void {
  const listener = hear as (event: unknown) => void
  if ('addEventListener' in endpoint) {
    endpoint.addEventListener(type, listener)
    return () => endpoint.removeEventListener(type, listener)
  }
  endpoint.on(type, listener)
  return () => void endpoint.off(type, listener)
}
