import type { AcquireOptions, HeldLock, Locks, ReleaseListener } from '../locks/types.ts'
import type { LockError } from '../protocol/index.ts'

export interface UseLockOptions extends Omit<AcquireOptions, 'signal'> {
  /** Whether the lock is wanted. Default true. */
  enabled?: boolean | undefined
  /** Whether to request the lock again after a loss, for example when the user navigates back to the page. Default false. */
  again?: boolean | undefined
}

/** The state of a component's lock. `lock`, its `token` and its `signal` exist only while it is held. */
export type LockState = (
  | { readonly state: 'idle' | 'waiting'; readonly lock: undefined; readonly token: undefined; readonly signal: undefined; readonly error: undefined }
  | { readonly state: 'held'; readonly lock: HeldLock; readonly token: number; readonly signal: AbortSignal; readonly error: undefined }
  | { readonly state: 'lost'; readonly lock: undefined; readonly token: undefined; readonly signal: undefined; readonly error: LockError }
  | { readonly state: 'error'; readonly lock: undefined; readonly token: undefined; readonly signal: undefined; readonly error: Error }
) & {
  /** Requests the lock again, behind all waiters; releases it first if it is held. Does nothing while `enabled` is false. */
  readonly retry: () => void
}

/** A component's lock, requested while there is a subscriber. The hooks of all frameworks are built on it. */
export interface Want {
  /** May be replaced while the lock is held. */
  onReleaseRequested: ReleaseListener | undefined
  state(): LockState
  /** Requests the lock, for one subscriber at a time. @returns a function that releases it or cancels the wait; the state is then `idle` */
  subscribe(changed: () => void): () => void
}

/** Describes a component's lock. It requests nothing until there is a subscriber. */
export function want(locks: Locks, name: string, { enabled = true, again = false, onReleaseRequested, ...options }: UseLockOptions): Want {
  const retry = (): void => {
    if (!attempt) return
    attempt.abort()
    ask()
  }
  const none = { lock: undefined, token: undefined, signal: undefined, error: undefined, retry }
  const idle: LockState = { ...none, state: 'idle' }
  const first: LockState = enabled ? { ...none, state: 'waiting' } : idle
  let state: LockState = first
  let listener: () => void
  /** The current attempt, while there is a subscriber. */
  let attempt: AbortController | undefined

  const show = (next: LockState): void => {
    state = next
    listener()
  }

  const ask = async (): Promise<void> => {
    attempt = new AbortController()
    const { signal } = attempt
    show(first)
    // Strict Mode subscribes, unsubscribes and subscribes again: an attempt that is cancelled at once sends no request.
    await undefined
    if (signal.aborted) return
    try {
      const lock = await locks.acquire(name, { ...options, signal, onReleaseRequested: (...asked) => self.onReleaseRequested?.(...asked) })
      // A release that fails is retried, and reported to `onWarning`.
      const letGo = (): void => void lock.release().catch(() => {})
      // The lock may have been granted at the moment the wait was cancelled.
      if (signal.aborted) return letGo()
      signal.addEventListener('abort', letGo)
      const ended = (): void => {
        // A script may dispatch an `abort` event of its own.
        if (signal.aborted || !lock.signal.aborted) return
        const error: LockError = lock.signal.reason
        if (error.code !== 'lost') show(idle)
        else if (again) ask()
        else show({ ...none, state: 'lost', error })
      }
      show({ state: 'held', lock, token: lock.token, signal: lock.signal, error: undefined, retry })
      if (lock.signal.aborted) ended()
      else lock.signal.addEventListener('abort', ended)
    } catch (error) {
      if (!signal.aborted) show({ ...none, state: 'error', error: error as Error })
    }
  }

  const self: Want = {
    onReleaseRequested,
    state: () => state,
    subscribe(changed) {
      if (!enabled) return () => {}
      listener = changed
      ask()
      return () => {
        attempt?.abort()
        attempt = undefined
        state = idle
      }
    },
  }
  return self
}
