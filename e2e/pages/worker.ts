import { createLocks } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

/** What a worker is told. Times in ms. */
export type WorkerOrder = { readonly type: 'acquire'; readonly duration: number; readonly maxBackoff: number } | { readonly type: 'release' }

const store = indexedDBStore('locks')
let release = async (): Promise<void> => {}

/** A worker that takes the lock `l` and keeps it until it is told otherwise; it says when it has done so. */
addEventListener('message', async ({ data }: MessageEvent<WorkerOrder>) => {
  if (data.type === 'acquire') {
    const locks = createLocks({ store, duration: data.duration, maxBackoff: data.maxBackoff })
    const lock = await locks.acquire('l')
    release = () => lock.release()
  } else await release()
  postMessage(data.type)
})
