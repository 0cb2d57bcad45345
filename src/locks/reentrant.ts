import { LockError } from '../protocol/index.ts'
import { asyncDispose, type Hold } from './hold.ts'
import type { Line, Wish } from './line.ts'
import type { Guard, ReentrantLock } from './types.ts'
import { within } from './within.ts'

/** One hold and the number of its users. */
interface Shared {
  readonly hold: Hold
  users: number
}

/** A wish for the lock that several callers share; it is called off when the last of them gives up. */
interface Asking {
  readonly shared: Promise<Shared>
  readonly stop: AbortController
  callers: number
}

export class Reentrant implements ReentrantLock {
  readonly name: string
  readonly #line: () => Line
  readonly #wish: Wish
  #shared: Shared | undefined
  #asking: Asking | undefined

  constructor(name: string, line: () => Line, wish: Wish) {
    this.name = name
    this.#line = line
    this.#wish = wish
  }

  get dirty(): boolean {
    return this.#line().dirty
  }

  clearDirty(): void {
    this.#line().dirty = false
  }

  isHeld(): boolean {
    return this.#current() !== undefined
  }

  acquire({ timeout, signal }: { timeout?: number; signal?: AbortSignal } = {}): Promise<Guard> {
    const current = this.#current()
    if (signal?.aborted) return Promise.reject(signal.reason)
    return current ? Promise.resolve(new Share(current)) : this.#wait(timeout, signal)
  }

  async tryAcquire(): Promise<Guard | null> {
    const current = this.#current()
    if (current) return new Share(current)
    // Someone in this process already waits in line: the lock is not free.
    if (this.#asking) return null
    const hold = await this.#line().ask({ ...this.#wish, ifAvailable: true })
    return hold && new Share(this.#keep(hold))
  }

  #current(): Shared | undefined {
    const shared = this.#shared
    return shared && shared.users > 0 && shared.hold.isHeld() ? shared : undefined
  }

  #keep(hold: Hold): Shared {
    this.#shared = { hold, users: 0 }
    return this.#shared
  }

  /** Waits with all other callers for one hold, each until its own timeout or signal. */
  async #wait(timeout: number | undefined, signal: AbortSignal | undefined): Promise<Guard> {
    const line = this.#line()
    const asking = this.#asking ?? this.#ask(line)
    asking.callers++
    try {
      const late = (): never => {
        throw line.timedOut(timeout)
      }
      return new Share(await within(line.clock, asking.shared, timeout, signal, late))
    } finally {
      if (--asking.callers === 0 && this.#asking === asking) {
        this.#asking = undefined
        asking.stop.abort(new LockError('timeout', 'nobody waits for it any more'))
      }
    }
  }

  #ask(line: Line): Asking {
    const stop = new AbortController()
    const shared = line.ask({ ...this.#wish, signal: stop.signal }).then((hold) => this.#keep(hold as Hold))
    const asking: Asking = { shared, stop, callers: 0 }
    this.#asking = asking
    const done = (): void => {
      if (this.#asking === asking) this.#asking = undefined
    }
    shared.then(done, done)
    return asking
  }
}

class Share implements Guard {
  readonly #shared: Shared
  #released: Promise<void> | undefined

  constructor(shared: Shared) {
    shared.users++
    this.#shared = shared
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

  clone(): Guard {
    this.assertHeld()
    return new Share(this.#shared)
  }

  release(): Promise<void> {
    this.#released ??= --this.#shared.users === 0 ? this.#shared.hold.release() : Promise.resolve()
    return this.#released
  }

  [asyncDispose](): Promise<void> {
    return this.release().catch(() => {})
  }
}
