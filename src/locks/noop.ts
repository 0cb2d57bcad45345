import { LockError, type Mode } from '../protocol/index.ts'
import { asyncDispose, behind } from './handle.ts'
import { HeldHandle } from './held-handle.ts'
import type { Guard, HeldLock, Locks, ReentrantLock, RequestOptions } from './types.ts'

/**
 * Locks without a store: every request is granted at once. For an app that knows that it is the only process, and for tests. The API is that of
 * `createLocks`. For locks that exclude each other within one process, use `memoryStore`.
 */
export function noopLocks(): Locks {
  const held = new Set<NoopLock>()
  let closed = false
  let token = 0

  const take = (name: string, mode: Mode = 'exclusive', signal?: AbortSignal): HeldLock & Guard => {
    if (closed) throw new LockError('closed', 'these locks were closed')
    signal?.throwIfAborted()
    return noopLock(new NoopLock(held, name, mode, ++token))
  }

  const reentrant = (name: string): ReentrantLock => ({
    name,
    dirty: false,
    clearDirty() {},
    isHeld: () => [...held].some((lock) => lock.name === name),
    acquire: async ({ signal } = {}) => take(name, 'exclusive', signal),
    tryAcquire: async () => take(name),
  })

  return {
    session: 'noop',
    async request<T>(name: string, first: RequestOptions | ((lock: HeldLock) => T), second?: (lock: HeldLock) => T): Promise<Awaited<T>> {
      const [{ mode, signal }, callback] = typeof first === 'function' ? [{} as RequestOptions, first] : [first, second]
      if (!callback) throw new TypeError('the callback must be a function')
      const lock = take(name, mode, signal)
      try {
        return await callback(lock)
      } finally {
        await lock.release()
      }
    },
    query: async (name) => ({
      held: [...held].filter((lock) => name === undefined || lock.name === name).map((lock) => lock.info()),
      pending: [],
    }),
    acquire: async (name, { mode, signal } = {}) => take(name, mode, signal),
    tryAcquire: async (name, { mode } = {}) => take(name, mode),
    reentrant,
    whenFree: async () => {},
    expire: async () => {},
    revoke: async () => {},
    pin: async () => {},
    unpin: async () => {},
    sweep: async () => 0,
    async close() {
      closed = true
      for (const lock of held) await lock.release()
    },
  }
}

class NoopLock implements HeldLock, Guard {
  readonly name: string
  readonly mode: Mode
  readonly token: number
  readonly previous = 0
  readonly dirty = false
  readonly session = 'noop'
  readonly #since = Date.now()
  readonly #held: Set<NoopLock>
  readonly #abort = new AbortController()

  /** Adds itself to `held`, and removes itself when it is released. */
  constructor(held: Set<NoopLock>, name: string, mode: Mode, token: number) {
    this.#held = held.add(this)
    this.name = name
    this.mode = mode
    this.token = token
  }

  get key(): string {
    return this.name
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  isHeld(): boolean {
    return !this.signal.aborted
  }

  assertHeld(): void {
    this.signal.throwIfAborted()
  }

  async renew(): Promise<void> {
    this.assertHeld()
  }

  clone(): Guard {
    this.assertHeld()
    return noopLock(new NoopLock(this.#held, this.name, this.mode, this.token))
  }

  async release(): Promise<void> {
    if (this.signal.aborted) return
    this.#held.delete(this)
    this.#abort.abort(new LockError('not-held', `${JSON.stringify(this.name)} was released`))
  }

  [asyncDispose](): Promise<void> {
    return this.release()
  }

  info() {
    const { name, mode, token } = this
    const [since, expiresAt] = [this.#since, Number.MAX_SAFE_INTEGER]
    return { name, mode, token, clientId: 'noop', session: 'noop', since, expiresAt, lease: expiresAt - since }
  }
}

class NoopHandle extends HeldHandle<NoopLock> implements Guard {
  get clone(): Guard['clone'] {
    const lock = this[behind]()
    return () => lock.clone()
  }
}

const noopLock = (lock: NoopLock): HeldLock & Guard => new NoopHandle(lock)
