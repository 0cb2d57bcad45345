import type { Locks } from 'storelock'
import type { Ledger } from './ledger.ts'
import type { News, Sight } from './messages.ts'
import { lockName, lookEvery, sleep } from './settings.ts'

/** Looks at who holds the lock and who waits, tells what it sees, and notices when a holder went without its write. */
export async function watch(locks: Locks, ledger: Ledger, tell: (news: News) => void, signal?: AbortSignal): Promise<void> {
  let last: Sight['holder']
  try {
    while (!signal?.aborted) {
      const sight = await look(locks)
      tell({ type: 'sight', sight })
      const { holder } = sight
      // A holder writes before it releases: if its token is not in the ledger and the lock is another's, it was taken over.
      if (last !== undefined && holder !== undefined && holder.token !== last.token && !(await ledger.has(last.token))) {
        tell({ type: 'take-over', from: last.writer, lost: last.token, by: holder.writer, token: holder.token })
      }
      // A holder whose session has ended has no label any more.
      if (holder !== undefined && holder.token !== last?.token) last = holder
      await sleep(lookEvery)
    }
  } catch (error) {
    tell({ type: 'failed', message: `looking: ${error instanceof Error ? error.message : String(error)}` })
  }
}

async function look(locks: Locks): Promise<Sight> {
  const { held, pending } = await locks.query(lockName)
  const [holder] = held
  const writer = (label: string | undefined) => label ?? 'someone'
  return {
    holder: holder && { writer: writer(holder.label), token: holder.token, expiresAt: holder.expiresAt },
    waiting: pending.map((waiter) => writer(waiter.label)),
  }
}
