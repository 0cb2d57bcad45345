import { createLocks } from 'storelock'
import { sqliteStore } from 'storelock/stores/sqlite'

const locks = createLocks({ store: sqliteStore('locks.db') })

export async function report(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  await locks.request('report.json', { timeout: 60_000 }, (lock) => work(lock.signal))
}

export async function tryReport(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  const lock = await locks.tryAcquire('report.json')
  if (!lock) return false
  try {
    await work(lock.signal)
    return true
  } finally {
    await lock.release()
  }
}
