import { type HeldLock, LockError, type Locks } from 'storelock'
import { between, clockStep, lockName, type Pace, sleep } from '../settings.ts'
import type { Counters } from './counters.ts'
import { type Event, type Order, type Place, type Report, report, type Standstill } from './reports.ts'

export interface WriterOptions {
  readonly name: string
  readonly place: Place
  readonly locks: Locks
  readonly counters: Counters
  readonly pace: Pace
  /** Blocks this whole context for a while. Calls `say` just before. */
  readonly standStill: (say: (how: Standstill) => void) => void
  readonly tell: (report: Report) => void
}

export interface Writer {
  obey(order: Order): void
  /** Reports that this worker is here. */
  hello(): void
  /** Resolves when the worker has finished after an order to do so. */
  readonly finished: Promise<void>
}

/** How to get the lock: in turn, by stealing it, or by asking its holder. */
type Way = 'turn' | 'steal' | 'ask'

/**
 * A worker that counts: it reads a counter, thinks a little, and writes the next number. It does so with three counters, which differ only in
 * how they are protected. The same code runs in tabs on IndexedDB and in processes on SQLite.
 */
export function createWriter({ name, place, locks, counters, pace, standStill, tell }: WriterOptions): Writer {
  const news = (event: Event) => tell(report(name, event))
  const stop = new AbortController()
  let running = false
  let hangs = false
  let keeps = false
  let held = false
  /** Whether it has the lock and has not yet begun to write. */
  let thinks = false
  /** Cancels a wait in favour of another way to get the lock. */
  let wait = new AbortController()
  let ways: Way[] = []
  /** The present work on the unprotected counter. */
  let work: Promise<unknown> = Promise.resolve()
  let wakeUp = () => {}
  let letGo = () => {}

  /** Reads, thinks and writes, while others do the same: writes in between are overwritten. */
  async function unprotected(): Promise<void> {
    const value = await counters.read('none')
    await sleep(between(pace.think))
    news({ type: 'wrote', mode: 'none', tally: await counters.write('none', value + 1), late: false })
    await sleep(between(pace.rest))
  }

  async function turn(way: Way): Promise<void> {
    if (way === 'steal') news({ type: 'steals' })
    if (way === 'ask') news({ type: 'asks' })
    news({ type: 'waits' })
    const onReleaseRequested = () => {
      news({ type: 'asked' })
      keeps = false
      letGo()
    }
    wait = new AbortController()
    await using lock = await locks.acquire(lockName, {
      signal: wait.signal,
      onReleaseRequested,
      ...(way === 'steal' && { steal: true }),
      ...(way === 'ask' && { ask: 'please' }),
    })
    held = true
    news({ type: 'holds', token: lock.token })
    if (keeps) news({ type: 'keeps' })
    const [leased, fenced] = await Promise.all([counters.read('lease'), counters.read('fenced')])
    thinks = true
    await thinking(lock)
    thinks = false
    // First ends all transactions: if it hung within one, other workers would have to wait for its end, even with the lock.
    if (hangs) await Promise.all([work, lock.renew()]).catch(() => {})
    // After a jump of the clock, `isHeld()` is false until the store has confirmed the lock.
    if (!lock.isHeld()) await lock.renew().catch(() => {})
    // The last check, and it is exact. The write after it may still come too late.
    if (!lock.isHeld()) {
      keeps = false
      return news({ type: 'lost', token: lock.token, how: whyOf(lock) })
    }
    hang(lock)
    const tally = await counters.write('lease', leased + 1)
    news({ type: 'wrote', mode: 'lease', tally, late: isLost(lock) })
    try {
      news({ type: 'wrote', mode: 'fenced', tally: await counters.writeFenced(lock, fenced + 1), late: false })
    } catch (error) {
      if (!(error instanceof LockError && error.code === 'lost')) throw error
      // If the lock is only unconfirmed after a jump of the clock, this turn has no fenced write.
      if (isLost(lock)) return news({ type: 'refused', token: lock.token })
    }
    // Reported before the release, since the next holder may learn of that before this worker does.
    news({ type: 'released', token: lock.token })
  }

  /** Thinks for a while. Ends early when the lock should be released or is lost. */
  function thinking(lock: HeldLock): Promise<void> {
    return new Promise((resolve) => {
      const end = () => (lock.isHeld() && keeps ? undefined : resolve())
      letGo = end
      lock.signal.addEventListener('abort', end, { once: true })
      setTimeout(end, between(pace.think))
    })
  }

  function hang(lock: HeldLock): void {
    if (!hangs) return
    hangs = false
    standStill((how) => news({ type: 'hangs', how }))
    news({ type: 'woke', held: lock.isHeld() })
  }

  const failed = (error: unknown): void => {
    if (stop.signal.aborted || (error instanceof LockError && error.code === 'closed')) return
    // The wait was cancelled, or the lock was stolen before the turn had begun.
    if (error === wait.signal.reason || (error instanceof LockError && error.code === 'lost')) news({ type: 'rests' })
    else news({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
  }

  async function turns(): Promise<void> {
    while (!stop.signal.aborted) {
      const way = ways.shift() ?? (running ? 'turn' : undefined)
      if (way) await turn(way).catch(failed)
      held = false
      // Another order is carried out at once.
      if (!ways.length) await nap(running ? between(pace.rest) : 1_000)
    }
    news({ type: 'rests' })
  }

  async function counting(): Promise<void> {
    while (!stop.signal.aborted) {
      work = running && !hangs ? unprotected().catch(failed) : sleep(100)
      await work
    }
  }

  const nap = (ms: number) =>
    new Promise<void>((resolve) => {
      wakeUp = resolve
      setTimeout(resolve, ms)
    })

  const hello = () => news({ type: 'here', place, running })
  const next = (way: Way) => {
    ways.push(way)
    // A steal or an ask replaces a wait in the queue. A plain turn does not.
    if (way !== 'turn') wait.abort(new Error(way))
    wakeUp()
  }

  const orders: Record<Order, () => unknown> = {
    start() {
      running = true
      wakeUp()
      hello()
    },
    pause() {
      running = false
      hello()
    },
    take: () => next('turn'),
    hold() {
      keeps = true
      if (thinks) news({ type: 'keeps' })
      else next('turn')
    },
    release() {
      keeps = false
      letGo()
    },
    hang() {
      hangs = true
      keeps = false
      // It hangs while it holds the lock: now if it has the lock, otherwise in its next turn.
      if (thinks) letGo()
      else next('turn')
    },
    steal: () => held || next('steal'),
    ask: () => held || next('ask'),
    clock() {
      setClockAhead(clockStep)
      news({ type: 'clock', ahead: clockStep })
    },
    finish() {
      running = false
      keeps = false
      ways = []
      stop.abort()
      wait.abort()
      letGo()
      wakeUp()
    },
  }

  const finished = Promise.all([turns(), counting()]).then(() => {})
  return { obey: (order) => orders[order](), hello, finished }
}

/** Whether the lock is really lost: `isHeld()` is also false while the lock is unconfirmed, as after a jump of the clock. */
const isLost = (lock: HeldLock): boolean => !lock.isHeld() && lock.signal.aborted

/** How the lock was lost, in a word. */
function whyOf(lock: HeldLock): string {
  const { reason } = lock.signal
  return (reason instanceof LockError && reason.reason) || 'lost'
}

const wall = Date.now

/** Sets the wall clock ahead, as seen by the code of this context. */
function setClockAhead(ms: number): void {
  Date.now = () => wall() + ms
}
