import { type Checked, LockError } from '../protocol/index.ts'
import { handles } from './handle.ts'
import { asyncDispose, type Hold } from './hold.ts'
import type { Guard, ReentrantLock } from './types.ts'

/** One hold and the number of its users. */
export interface Shared {
  readonly hold: Hold
  users: number
  /** The last user has given its share back. */
  over?(): void
}

/** One user's share of a hold; the last one that is given back releases it. */
export class Share implements Guard {
  readonly #shared: Shared
  #released: Promise<void> | undefined

  constructor(shared: Shared) {
    shared.users++
    this.#shared = shared
  }

  get hold(): Hold {
    return this.#shared.hold
  }

  get name(): string {
    return this.#shared.hold.name
  }

  get key(): string {
    return this.#shared.hold.key
  }

  get session(): string {
    return this.#shared.hold.session
  }

  get token(): number {
    return this.#shared.hold.token
  }

  get signal(): AbortSignal {
    return this.#shared.hold.signal
  }

  isHeld(): boolean {
    return !this.#released && this.#shared.hold.isHeld()
  }

  assertHeld(): void {
    if (this.#released) throw new LockError('not-held', `this guard of ${JSON.stringify(this.#shared.hold.name)} was released`)
    this.#shared.hold.assertHeld()
  }

  checked(alone: boolean): Checked {
    return this.#shared.hold.checked(alone)
  }

  clone(): Guard {
    this.assertHeld()
    return guardOf(this.#shared)
  }

  release(): Promise<void> {
    this.#released ??= --this.#shared.users === 0 ? this.#giveBack() : Promise.resolve()
    return this.#released
  }

  #giveBack(): Promise<void> {
    this.#shared.over?.()
    return this.#shared.hold.release()
  }

  [asyncDispose](): Promise<void> {
    return this.release().catch(() => {})
  }
}

const guard = handles<Share, Guard>({
  assertHeld: (share) => () => share.assertHeld(),
  checked: (share) => (alone) => share.checked(alone),
  clone: (share) => () => share.clone(),
  isHeld: (share) => () => share.isHeld(),
  release: (share) => () => share.release(),
  [asyncDispose]: (share) => () => share[asyncDispose](),
  key: (share) => share.key,
  name: (share) => share.name,
  session: (share) => share.session,
  signal: (share) => share.signal,
  token: (share) => share.token,
})

/** One more user's share of a hold. */
export const guardOf = (shared: Shared): Guard => guard(new Share(shared))

/** A re-entrant lock as its users have it in hand. */
export const reentrantLock = handles<ReentrantLock, ReentrantLock>({
  acquire: (lock) => (options) => lock.acquire(options),
  clearDirty: (lock) => () => lock.clearDirty(),
  isHeld: (lock) => () => lock.isHeld(),
  tryAcquire: (lock) => (options) => lock.tryAcquire(options),
  dirty: (lock) => lock.dirty,
  name: (lock) => lock.name,
})
