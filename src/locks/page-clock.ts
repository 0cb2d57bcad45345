import type { LockError } from '../protocol/index.ts'
import { type Clock, systemClock } from './clock.ts'
import { onPageLife, type Page, pageHere } from './page.ts'
import { Ticker } from './ticker.ts'
import { turn } from './turn.ts'

/** How long the worker is kept while nothing is pending, in ms: running calls may set the next timer when they are done. */
const idle = 1_000

interface Timer {
  readonly at: number
  run(): void
}

let ofThisPage: Clock | undefined

/** The clock of this context; one for all locks of a page. */
export function clockHere(): Clock {
  const page = pageHere()
  if (!page) return systemClock
  ofThisPage ??= pageClock(page)
  return ofThisPage
}

/**
 * A clock whose timers are on time in a hidden page. Each is a plain timer; while the page is hidden, a worker keeps time as well, and whichever
 * fires first counts. Timers that fell due while a page slept run as soon as it is shown or resumes, before other listeners for that event.
 */
export function pageClock(page: Page): Clock {
  const timers = new Set<Timer>()
  const listeners = new Set<(error: LockError) => void>()
  let fault: LockError | undefined
  let ticker: Ticker | undefined
  /** When the ticker will tick; Infinity if it is not set. */
  let wakeAt = Infinity
  /** Whether the page was left. It may go into the back/forward cache, which a worker must not prevent. */
  let left = false

  const fail = (error: LockError): void => {
    fault = error
    stop()
    for (const listener of listeners) listener(error)
  }

  const stop = (): void => {
    ticker?.stop()
    ticker = undefined
    wakeAt = Infinity
  }

  const wake = (at: number): void => {
    if (at >= wakeAt || left || fault || !page.document.hidden) return
    try {
      ticker ??= new Ticker(tick, fail)
      ticker.wakeIn(at - systemClock.monotonic())
      wakeAt = at
    } catch (error) {
      fail(error as LockError)
    }
  }

  const wakeForNext = (): void => {
    wake(Math.min(...Array.from(timers, ({ at }) => at)))
  }

  /** Runs the timers that are due. @returns how many there were */
  const runDue = (): number => {
    const now = systemClock.monotonic()
    const due = [...timers].filter(({ at }) => at <= now)
    // One of them may cancel another.
    for (const timer of due) if (timers.has(timer)) timer.run()
    return due.length
  }

  const tick = (): void => {
    wakeAt = Infinity
    const ran = runDue()
    if (timers.size) wakeForNext()
    else if (ran) wake(systemClock.monotonic() + idle)
    else stop()
  }

  const changed = (type: string): void => {
    // A page that is left becomes hidden only after `pagehide`.
    if (type === 'pagehide') left = true
    if (type === 'pageshow') left = false
    runDue()
    if (left || !page.document.hidden) stop()
    else wakeForNext()
  }
  onPageLife(page, ['visibilitychange', 'resume', 'pagehide', 'pageshow'], changed)

  return {
    now: systemClock.now,
    monotonic: systemClock.monotonic,
    random: systemClock.random,
    turn,
    after(ms, run) {
      const callOff = (): void => {
        timers.delete(timer)
        callOffPlain()
      }
      const timer: Timer = {
        at: systemClock.monotonic() + ms,
        run() {
          callOff()
          run()
        },
      }
      const callOffPlain = systemClock.after(ms, () => timer.run())
      timers.add(timer)
      wake(timer.at)
      return callOff
    },
    onDegraded(listener) {
      listeners.add(listener)
      if (fault) listener(fault)
      return () => listeners.delete(listener)
    },
  }
}
