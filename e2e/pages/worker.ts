import { createLocks, type HeldLock } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** The orders that a worker takes. Times in ms. */
export type WorkerOrder =
  | { readonly type: 'acquire'; readonly duration: number; readonly maxBackoff: number }
  | { readonly type: 'renew' }
  | { readonly type: 'release' }

const store = indexedDBStore('locks')
let lock: HeldLock | undefined

/** Takes the lock `l` and keeps it until another order. */
async function obey(order: WorkerOrder): Promise<void> {
  if (order.type === 'acquire') lock = await createLocks({ store, duration: order.duration, maxBackoff: order.maxBackoff }).acquire('l')
  if (order.type === 'renew') await lock?.renew()
  if (order.type === 'release') await lock?.release()
}

/** Takes orders from a page, and reports when each is done. */
const listenTo = (page: typeof globalThis | MessagePort): void => {
  page.addEventListener('message', async ({ data }: MessageEventInit<WorkerOrder>) => {
    await obey(data as WorkerOrder)
    page.postMessage('done')
  })
}

// A shared worker gets a port from each page.
addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports
  if (!port) return
  listenTo(port)
  port.start()
})
listenTo(globalThis)
