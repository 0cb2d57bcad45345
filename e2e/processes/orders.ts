import type { AcquireOptions, LocksSnapshot, TryOptions } from '../../src/index.ts'

/** What a process is started with. Times in ms. */
export interface Start {
  readonly file: string
  readonly label?: string
  readonly duration: number
  readonly maxBackoff: number
  readonly linger?: number
}

/** A lock that a process got, and when, on the monotonic clock that all processes of a machine share. */
export interface Got {
  readonly token: number
  readonly at: number
}

/** What the code that holds a lock sees of it. */
export interface State {
  readonly held: boolean
  readonly aborted: boolean
  /** The code of what `assertHeld` throws. */
  readonly thrown?: string | undefined
  /** The code of the signal's reason. */
  readonly reason?: string | undefined
}

/** The orders of a process. It has one lock at a time. */
export interface Orders {
  acquire(name: string, options?: AcquireOptions): Promise<Got>
  tryAcquire(name: string, options?: TryOptions): Promise<Got | null>
  /** @returns when the renewal went out */
  renew(): Promise<number>
  release(): Promise<number>
  state(): State
  query(name: string): Promise<LocksSnapshot>
  /** @returns when it was free */
  whenFree(name: string): Promise<number>
  /** Stops with SIGSTOP, and looks at the lock first thing when it runs again after `least` ms or more. */
  standStill(least: number): State
  /** Takes the lock so many times, and writes {@link Line}s about it into a file. */
  turns(name: string, count: number, ledger: string): Promise<void>
  wallTime(): number
}

/** Written when it requests the lock, when it has it, and before it releases it. */
export interface Line {
  readonly event: 'ask' | 'enter' | 'leave'
  readonly who: string
  /** Of what it holds. */
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
  /** The signal of the lock aborted, with this reason. */
  | { readonly type: 'aborted'; readonly code: string; readonly at: number }
  | { readonly type: 'warning'; readonly warning: string; readonly code: string }

/** In ms, the same for all processes of a machine, and never set. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000
