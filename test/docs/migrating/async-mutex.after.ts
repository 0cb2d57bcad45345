import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'

const locks = createLocks({ store: sqliteStore('locks.db') })

export async function save(work: () => Promise<void>): Promise<void> {
  await locks.request('save', work)
}

export async function download(work: () => Promise<void>): Promise<void> {
  await locks.request('download', { limit: 3 }, work)
}

export async function saveByHand(work: () => Promise<void>): Promise<void> {
  const lock = await locks.acquire('save')
  try {
    await work()
  } finally {
    await lock.release()
  }
}
