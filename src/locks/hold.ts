import { type Checked, checkDuration, LockError, type Mode, type Policy } from '../protocol/index.ts'
import { Checks } from './checks.ts'
import { type End, released } from './core/ends.ts'
import { asyncDispose } from './handle.ts'
import type { Holding, HoldLease } from './lease.ts'
import type { HeldLock, ReleaseListener } from './types.ts'

export interface HoldTerms {
  readonly token: number
  readonly previous: number
  readonly dirty: boolean
  readonly onReleaseRequested: ReleaseListener | undefined
}

/** Where a hold's lease goes when it is released. */
export interface HoldHome {
  readonly policy: Policy
  /** @param now what the monotonic clock has just shown */
  retire(lease: HoldLease, now: number): Promise<void>
}

/** A held lock: one use of a lease. */
export class Hold implements HeldLock, Holding {
  readonly token: number
  readonly previous: number
  readonly dirty: boolean
  /** Called once for each request that asks for the lock. */
  readonly onReleaseRequested: ReleaseListener | undefined
  /** The requests that its listener was told of. */
  heard: ReadonlySet<string> | undefined
  readonly #home: HoldHome
  readonly #lease: HoldLease
  #checks: Checks | undefined
  #end: End | undefined
  #error: LockError | undefined
  #abort: AbortController | undefined
  #released: Promise<void> | undefined
  #taken = false
  #onTaken: ((error: LockError) => void) | undefined

  constructor(home: HoldHome, lease: HoldLease, { token, previous, dirty, onReleaseRequested }: HoldTerms) {
    this.#home = home
    this.#lease = lease
    this.token = token
    this.previous = previous
    this.dirty = dirty
    this.onReleaseRequested = onReleaseRequested
    lease.hold = this
  }

  get name(): string {
    return this.#lease.name
  }

  get key(): string {
    return this.#lease.key
  }

  get mode(): Mode {
    return this.#lease.mode
  }

  get session(): string {
    return this.#lease.session
  }

  /** When the lock is lost unless it is renewed before, on this context's monotonic clock. */
  get deadline(): number {
    return this.#lease.deadline
  }

  /** Whether it is over, as far as is known without reading the clock. */
  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Why it is no longer held; `undefined` while it is. Made on first use, since it is seldom read. */
  get error(): LockError | undefined {
    if (this.#end) this.#error ??= new LockError(this.#end.code, this.#end.message(this.name), { reason: this.#end.reason })
    return this.#error
  }

  get signal(): AbortSignal {
    this.expireIfDue()
    if (!this.#abort) {
      this.#abort = new AbortController()
      makeExact(this.#abort.signal, () => this.expireIfDue())
      if (this.#end) this.#abort.abort(this.error)
    }
    return this.#abort.signal
  }

  /** Whether a transaction that has checked it is open. */
  get isChecked(): boolean {
    return this.#checks !== undefined && this.#checks.open > 0
  }

  isHeld(): boolean {
    return this.stands()
  }

  /** Whether it is held. @param now what the monotonic clock has just shown, if the caller has read it */
  stands(now?: number): boolean {
    return !this.#end && (!!this.#checks?.alone || this.#lease.stands(now))
  }

  checked(alone: boolean): Checked {
    this.#checks ??= new Checks(this.#lease)
    return this.#checks.begin(alone)
  }

  assertHeld(): void {
    if (this.isHeld()) return
    throw (
      this.error ??
      new LockError('lost', `whether ${JSON.stringify(this.name)} is still held is being checked: the clock jumped, or a transaction took too long`)
    )
  }

  async renew(duration?: number): Promise<void> {
    if (duration !== undefined) checkDuration(this.#home.policy, duration)
    this.expireIfDue()
    if (this.#end) throw this.error
    await this.#lease.renew(duration)
    if (this.#end) throw this.error
  }

  /** Loses the lock if its deadline has passed, however late that is noticed. */
  expireIfDue(): void {
    if (!this.#end) this.#lease.expireIfDue()
  }

  release(): Promise<void> {
    // Read once: if the lease lingers, reading the clock takes as long as all the rest.
    const now = this.#lease.clock.monotonic()
    if (!this.#end) this.#lease.expireIfDue(now)
    if (!this.#end) {
      this.end(released)
      this.#released = this.#home.retire(this.#lease, now)
    }
    return this.#released ?? Promise.resolve()
  }

  [asyncDispose](): Promise<void> {
    return this.release().catch(() => {})
  }

  /** Calls the listener if another request takes the lock before its deadline, or has done so. */
  whenTaken(listener: (error: LockError) => void): void {
    this.#onTaken = listener
    if (this.#taken) this.taken()
  }

  /** Another request took the lock, which ended it. */
  taken(): void {
    this.#taken = true
    if (this.error) this.#onTaken?.(this.error)
  }

  /** Ends it without telling the store. */
  end(end: End): void {
    if (this.#end) return
    this.#end = end
    this.#lease.hold = undefined
    this.#abort?.abort(this.error)
  }
}

/** Makes a signal check the deadline before it says whether it has aborted: after a pause, code may run before the timers that fell due meanwhile. */
function makeExact(signal: AbortSignal, look: () => void): void {
  const plain: object = Object.getPrototypeOf(signal)
  Object.defineProperties(signal, {
    aborted: {
      get() {
        look()
        return Reflect.get(plain, 'aborted', signal)
      },
    },
    throwIfAborted: {
      value() {
        if (signal.aborted) throw signal.reason
      },
    },
  })
}
