import { runOnce } from './run-once.ts'

/** What tests call in the popup. */
const exposed = { sync: (url: string): Promise<boolean> => runOnce('sync', (signal) => fetch(url, { signal })) }

declare global {
  var popup: typeof exposed
}

globalThis.popup = exposed
