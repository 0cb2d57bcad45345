import type { AcquireOptions, LocksSnapshot, TryOptions } from '../../src/index.ts'

/** The settings of a process. Times in ms. */
export interface Start {
  readonly file: string
  readonly label?: string
  readonly duration: number
  readonly maxBackoff: number
  readonly linger?: number
}

/** A lock that a process got, and the time on the monotonic clock that all processes of a machine share. */
export interface Got {
  readonly token: number
  readonly at: number
}

/** The state of a lock, as its holder's code sees it. */
export interface State {
  readonly held: boolean
  readonly aborted: boolean
  /** The code of the error that `assertHeld` throws. */
  readonly thrown?: string | undefined
  /** The code of the signal's reason. */
  readonly reason?: string | undefined
}

/** The orders that a process takes. It has one lock at a time. */
export interface Orders {
  acquire(name: string, options?: AcquireOptions): Promise<Got>
  tryAcquire(name: string, options?: TryOptions): Promise<Got | null>
  /** @returns the time at which the renewal was sent */
  renew(): Promise<number>
  release(): Promise<number>
  state(): State
  query(name: string): Promise<LocksSnapshot>
  /** @returns the time at which the lock was free */
  whenFree(name: string): Promise<number>
  /** Stops itself with SIGSTOP. When it runs again, after `least` ms or more, it first looks at the lock. */
  standStill(least: number): State
  /** Takes the lock `count` times, and writes {@link Line}s about it to a file. */
  turns(name: string, count: number, ledger: string): Promise<void>
  wallTime(): number
}

/** Written when a worker requests the lock, when it has the lock, and before it releases it. */
export interface Line {
  readonly event: 'ask' | 'enter' | 'leave'
  readonly who: string
  /** The token of the lock that it holds, or 0. */
  readonly token: number
}

export interface Order {
  readonly id: number
  readonly does: keyof Orders
  readonly args: readonly unknown[]
}

export type News =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly id: number; readonly result?: unknown; readonly error?: { readonly code: string; readonly message: string } }
  /** The lock's signal aborted, with a reason of this code. */
  | { readonly type: 'aborted'; readonly code: string; readonly at: number }
  | { readonly type: 'warning'; readonly warning: string; readonly code: string }

/** The monotonic time in ms, the same for all processes of a machine. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000
