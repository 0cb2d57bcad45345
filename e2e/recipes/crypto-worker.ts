import { keysOf } from './crypto-keys.ts'

type Asked = MessageEvent<{ readonly room: string; readonly count: number }> & { waitUntil(promise: Promise<unknown>): void }

addEventListener('message', (event) => {
  const { data, ports } = event as Asked
  const answered = keysOf(data.room, data.count).then((keys) => ports[0]?.postMessage(keys))
  // The browser may stop a service worker as soon as no event waits for it.
  ;(event as Asked).waitUntil(answered)
})
