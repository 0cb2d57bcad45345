import { createLocks, type HeldLock } from 'storelock'
import { indexedDBStore } from 'storelock/stores/indexeddb'

const locks = createLocks({ store: indexedDBStore('app-locks') })
let leadership: HeldLock | undefined

export async function lead(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  leadership = await locks.acquire('sync leader')
  await work(leadership.signal) // aborts when this tab is no longer the leader
}

export async function resign(): Promise<void> {
  await leadership?.release()
}
