import type { Entry } from './ledger.ts'

/** Who holds the lock, since which token, and who waits for it, in the order of the queue. */
export interface Sight {
  readonly holder?: { readonly writer: string; readonly token: number; readonly expiresAt: number } | undefined
  readonly waiting: readonly string[]
}

export type News =
  | { readonly type: 'ready' }
  | { readonly type: 'waiting' }
  | { readonly type: 'granted'; readonly token: number; readonly kept: boolean }
  /** The protected write is acknowledged; the lock is released next. */
  | { readonly type: 'wrote'; readonly token: number; readonly value: number }
  /** The lock was lost before the write, which was therefore not made. */
  | { readonly type: 'lost'; readonly token: number | undefined; readonly message: string }
  /** The writer runs again after it stood still: what its lock told it, at once. */
  | { readonly type: 'woke'; readonly token: number; readonly held: boolean; readonly aborted: boolean }
  | { readonly type: 'sight'; readonly sight: Sight }
  /** A holder went without its write, and another has the lock. */
  | { readonly type: 'take-over'; readonly from: string; readonly lost: number; readonly by: string; readonly token: number }
  /** What should not happen; that a process exited or a tab crashed unbidden, too. */
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'done' }

/** What a writer tells: its runner, and its own page. `at` is wall time in ms, with fractions. */
export type Report = News & { readonly writer: string; readonly at: number }

export const report = (writer: string, news: News): Report => ({ ...news, writer, at: performance.timeOrigin + performance.now() })

/**
 * What a writer is told: to keep the lock of its next turn until it is let go, to hold it for a while, to stand still
 * without a word while it has it, or to finish its turn and stop.
 */
export type Order = 'keep' | 'hold' | 'let-go' | 'stand-still' | 'finish'

declare global {
  /** What a tab offers its runner. */
  var demo: { obey(order: Order): void; entries(): Promise<Entry[]> }
  /** How a tab that a runner opened tells it. */
  var tellRunner: ((told: Report) => void) | undefined
}
