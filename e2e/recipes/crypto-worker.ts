import { keysOf } from './crypto-keys.ts'

addEventListener('message', (event) => {
  const { data, ports } = event as MessageEvent<{ readonly room: string; readonly count: number }>
  const answered = keysOf(data.room, data.count).then((keys) => ports[0]?.postMessage(keys))
  // A service worker may be stopped as soon as it has nothing more to wait for.
  ;(event as Event & { waitUntil(promise: Promise<unknown>): void }).waitUntil(answered)
})
