import { keysOf } from './crypto-keys.ts'

type Asked = MessageEvent<{ readonly room: string; readonly count: number }> & { waitUntil(promise: Promise<unknown>): void }

addEventListener('message', (event) => {
  const { data, ports } = event as Asked
  const answered = keysOf(data.room, data.count).then((keys) => ports[0]?.postMessage(keys))
  // A service worker may be stopped as soon as it has nothing more to wait for.
  ;(event as Asked).waitUntil(answered)
})
