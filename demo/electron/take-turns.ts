import type { Locks } from 'storelock'
import type { Write } from './ledger.ts'

export type News =
  | { readonly state: 'waiting' }
  | { readonly state: 'holding'; readonly token: number }
  | { readonly state: 'wrote'; readonly number: number }
  | { readonly state: 'failed'; readonly why: string }

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Takes the lock again and again and writes one turn each time, until `signal` aborts. @param hold how long it thinks before it writes, in ms */
export async function takeTurns(locks: Locks, write: Write, tell: (news: News) => void, signal: AbortSignal, hold: number): Promise<void> {
  while (!signal.aborted) {
    tell({ state: 'waiting' })
    try {
      await locks.request('ledger', { signal }, async (lock) => {
        tell({ state: 'holding', token: lock.token })
        await pause(hold)
        tell({ state: 'wrote', number: await write(lock) })
      })
    } catch (error) {
      if (signal.aborted) return
      tell({ state: 'failed', why: (error as Error).message })
      await pause(hold)
    }
  }
}
