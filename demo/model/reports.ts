import type { Mode, Tally } from './counters.ts'

/** Where a worker runs: on a thread of a page, as a tab, or as a Node process. */
export type Place = 'worker' | 'tab' | 'process'

export type Standstill = 'busy' | 'stopped' | 'breakpoint'

export type Event =
  /** Repeated every second, for pages that were opened later. */
  | { readonly type: 'here'; readonly place: Place; readonly running: boolean }
  | { readonly type: 'waits' }
  | { readonly type: 'holds'; readonly token: number }
  /** A write was made. `late` if the lock had been lost by then. */
  | { readonly type: 'wrote'; readonly mode: Mode; readonly tally: Tally; readonly late: boolean }
  /** A fenced write was refused. */
  | { readonly type: 'refused'; readonly token: number }
  | { readonly type: 'released'; readonly token: number }
  /** The lock was lost, and the worker knew this before it wrote. */
  | { readonly type: 'lost'; readonly token: number; readonly how: string }
  /** The worker takes no next turn, or has cancelled its wait. */
  | { readonly type: 'rests' }
  | { readonly type: 'keeps' }
  /** The worker hangs from now on, while it holds the lock: its thread is busy, its process is stopped, or it is at a breakpoint. */
  | { readonly type: 'hangs'; readonly how: Standstill }
  | { readonly type: 'woke'; readonly held: boolean }
  | { readonly type: 'steals' }
  | { readonly type: 'asks' }
  | { readonly type: 'asked' }
  | { readonly type: 'clock'; readonly ahead: number }
  /** The worker was killed. Its runner reports this. */
  | { readonly type: 'crashed'; readonly how: string }
  /** The worker ended properly, for example because its tab was closed. */
  | { readonly type: 'left' }
  /** An error that should not happen. */
  | { readonly type: 'failed'; readonly message: string }

/** Something that happened to a worker. `at` is in ms since 1970, with fractions, on a clock that never jumps. */
export type Report = Event & { readonly worker: string; readonly at: number }

export const report = (worker: string, event: Event): Report => ({ ...event, worker, at: performance.timeOrigin + performance.now() })

export type Order =
  /** Start or stop taking turns. */
  | 'start'
  | 'pause'
  /** Take one turn. */
  | 'take'
  /** Take the lock, and keep it until told to release. */
  | 'hold'
  | 'release'
  /** Hang while holding the lock, just before the write. */
  | 'hang'
  | 'steal'
  | 'ask'
  | 'clock'
  /** Stop, and clean up. */
  | 'finish'
