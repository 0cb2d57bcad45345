import { type HeldLock, LockError, type Locks } from 'storelock'
import { type Ledger, StaleTokenError } from './ledger.ts'
import { type News, type Order, type Report, report } from './messages.ts'
import { between, holdTime, lockName, type Pace, sleep } from './settings.ts'

export interface WriterOptions {
  readonly name: string
  readonly locks: Locks
  readonly ledger: Ledger
  readonly pace: Pace
  /** Stops everything that this context does, for a while. */
  readonly standStill: () => void
  readonly tell: (report: Report) => void
}

export interface Writer {
  /** Takes turns with everyone else until it is told to finish. */
  start(): Promise<void>
  obey(order: Order): void
}

/** One of those who take the lock in turn. The same code runs in tabs, on IndexedDB, and in processes, on SQLite. */
export function createWriter({ name, locks, ledger, pace, standStill, tell }: WriterOptions): Writer {
  const news = (what: News) => tell(report(name, what))
  let finish = new AbortController()
  let held: HeldLock | undefined
  /** How long to keep the next lock, in ms; 0 as long as the pace says. */
  let keepFor = 0
  let letGo = () => {}
  let stillNext = false

  async function turn(): Promise<void> {
    news({ type: 'waiting' })
    await using lock = await locks.acquire(lockName, { signal: finish.signal })
    held = lock
    news({ type: 'granted', token: lock.token, kept: keepFor === Infinity })
    // Read, think, write: without the lock two writers would read the same value, and one of their writes would be lost.
    const value = (await ledger.read(lock.token)) + 1
    await thinking(lock)
    lock.assertHeld()
    await ledger.write({ value, writer: name, token: lock.token })
    news({ type: 'wrote', token: lock.token, value })
  }

  /** Ends early when the lock is to be let go, and when it is lost. */
  function thinking(lock: HeldLock): Promise<void> {
    return new Promise((resolve) => {
      letGo = resolve
      lock.signal.addEventListener('abort', () => resolve(), { once: true })
      if (keepFor < Infinity) setTimeout(resolve, keepFor || between(pace.hold))
      if (keepFor === holdTime) keepFor = 0
      // A moment later, so that the others have seen who holds it.
      if (stillNext) setTimeout(() => stand(lock), 200)
      stillNext = false
    })
  }

  function stand(lock: HeldLock): void {
    standStill()
    news({ type: 'woke', token: lock.token, held: lock.isHeld(), aborted: lock.signal.aborted })
    letGo()
  }

  function failed(error: unknown): void {
    if (finish.signal.aborted || (error instanceof LockError && error.code === 'closed')) return
    const message = error instanceof Error ? error.message : String(error)
    const tooLate = error instanceof StaleTokenError || (error instanceof LockError && error.code === 'lost')
    news(tooLate ? { type: 'lost', token: held?.token, message } : { type: 'failed', message })
  }

  return {
    async start() {
      finish = new AbortController()
      while (!finish.signal.aborted) {
        await turn().catch(failed)
        held = undefined
        await sleep(between(pace.rest))
      }
      news({ type: 'done' })
    },

    obey(order) {
      keepFor = order === 'keep' ? Infinity : order === 'hold' ? holdTime : 0
      if (order === 'finish') finish.abort()
      if (order === 'finish' || order === 'let-go') letGo()
      if (order !== 'stand-still') return
      if (held === undefined) stillNext = true
      else stand(held)
    },
  }
}
