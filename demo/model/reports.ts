import type { Mode, Tally } from './counters.ts'

/** Where a worker runs: on a thread of a page, as a tab of its own, or as a Node process. */
export type Place = 'worker' | 'tab' | 'process'

export type Standstill = 'busy' | 'stopped' | 'breakpoint'

export type Event =
  /** Said again every second, for pages that were opened later. */
  | { readonly type: 'here'; readonly place: Place; readonly running: boolean }
  | { readonly type: 'waits' }
  | { readonly type: 'holds'; readonly token: number }
  /** A write was made; `late` if the lock had been lost by then. */
  | { readonly type: 'wrote'; readonly mode: Mode; readonly tally: Tally; readonly late: boolean }
  /** A fenced write was not made. */
  | { readonly type: 'refused'; readonly token: number }
  | { readonly type: 'released'; readonly token: number }
  /** The lock was lost, and the worker knows it before it has written. */
  | { readonly type: 'lost'; readonly token: number; readonly how: string }
  /** The next turn is not taken, or a wait was called off. */
  | { readonly type: 'rests' }
  | { readonly type: 'keeps' }
  /** It stands still from now on, while it has the lock: its thread is busy, its process stopped, or it has come to a breakpoint. */
  | { readonly type: 'hangs'; readonly how: Standstill }
  | { readonly type: 'woke'; readonly held: boolean }
  | { readonly type: 'steals' }
  | { readonly type: 'asks' }
  | { readonly type: 'asked' }
  | { readonly type: 'clock'; readonly ahead: number }
  /** Ended without a word; told by whoever runs it. */
  | { readonly type: 'crashed'; readonly how: string }
  /** Ended properly, as a tab that is closed. */
  | { readonly type: 'left' }
  /** What should not happen. */
  | { readonly type: 'failed'; readonly message: string }

/** Something that happened to a worker. `at` is in ms since 1970, with fractions, and never stepped. */
export type Report = Event & { readonly worker: string; readonly at: number }

export const report = (worker: string, event: Event): Report => ({ ...event, worker, at: performance.timeOrigin + performance.now() })

export type Order =
  /** Take turns, or stop taking them. */
  | 'start'
  | 'pause'
  /** One turn. */
  | 'take'
  /** Take the lock and keep it, until told to release. */
  | 'hold'
  | 'release'
  /** Stand still while it holds the lock, just before its write. */
  | 'hang'
  | 'steal'
  | 'ask'
  | 'clock'
  /** Stop, and leave nothing behind. */
  | 'finish'
