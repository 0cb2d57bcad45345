import { keysOf } from './crypto-keys.ts'

/** What tests call in the page, as the global `cryptoStore`. */
const exposed = {
  keys: keysOf,
  /** Starts the service worker. Resolves when it runs. */
  async start(): Promise<void> {
    await navigator.serviceWorker.register(new URL('./crypto-worker.ts', import.meta.url))
    await navigator.serviceWorker.ready
  },
  /** The same as `keys`, but in the service worker. */
  async workersKeys(room: string, count: number): Promise<string[]> {
    const { active } = await navigator.serviceWorker.ready
    const { port1, port2 } = new MessageChannel()
    active?.postMessage({ room, count }, [port2])
    return new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data)
    })
  },
}

declare global {
  var cryptoStore: typeof exposed
}

globalThis.cryptoStore = exposed
