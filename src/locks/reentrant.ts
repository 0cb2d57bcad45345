import type { Hold } from './hold.ts'
import type { Line } from './line.ts'
import { checkWish } from './options.ts'
import { tryOnce } from './seek.ts'
import type { Session } from './session.ts'
import { guardOf, reentrantLock, type Shared } from './share.ts'
import type { Guard, ReentrantLock } from './types.ts'
import type { Wish } from './wish.ts'
import { within } from './within.ts'

/** A request for the lock that several callers share; it is cancelled when the last of them gives up. */
interface Asking {
  readonly shared: Promise<Shared>
  readonly stop: AbortController
  callers: number
}

export class Reentrant implements ReentrantLock {
  readonly name: string
  readonly handle: ReentrantLock = reentrantLock(this)
  readonly #session: Session
  readonly #key: string
  readonly #wish: Wish
  readonly #use: (handle: ReentrantLock, inUse: boolean) => void
  #shared: Shared | undefined
  #asking: Asking | undefined
  #trying: Promise<Shared | null> | undefined

  /** @param use called when the lock gets its first user, or loses its last one */
  constructor(session: Session, key: string, name: string, wish: Wish, use: (handle: ReentrantLock, inUse: boolean) => void) {
    this.#use = use
    this.#session = session
    this.#key = key
    this.name = name
    this.#wish = wish
  }

  /** Runs something with the lock's line, which is kept until that is over. */
  async #using<T>(act: (line: Line) => T): Promise<Awaited<T>> {
    const line = this.#session.line(this.#key, this.name)
    try {
      return await act(line)
    } finally {
      this.#session.lines.giveBack(line)
    }
  }

  /** Runs a synchronous step with the lock's line. */
  #glance<T>(act: (line: Line) => T): T {
    const line = this.#session.lines.take(this.#key, this.name)
    try {
      return act(line)
    } finally {
      this.#session.lines.giveBack(line)
    }
  }

  get dirty(): boolean {
    return this.#glance(({ leases }) => leases.dirty)
  }

  clearDirty(): void {
    this.#glance(({ leases }) => {
      leases.dirty = false
    })
  }

  isHeld(): boolean {
    return this.#current() !== undefined
  }

  acquire(options: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {}): Promise<Guard> {
    const { clock } = this.#session
    const now = clock.monotonic()
    const current = this.#current(now)
    if (!current || options.signal?.aborted) return this.#wait(options)
    const turn = clock.turn?.(now)
    return turn ? this.#acquireAfter(turn, options) : Promise.resolve(guardOf(current))
  }

  /** A method of its own, since a closure within `acquire` would make every call of `acquire` allocate the variables that it captures. */
  #acquireAfter(turn: Promise<void>, options: { timeout?: number | undefined; signal?: AbortSignal | undefined }): Promise<Guard> {
    return turn.then(() => this.acquire(options))
  }

  async tryAcquire(options: { timeout?: number | undefined } = {}): Promise<Guard | null> {
    const { clock, settings } = this.#session
    const { timeout } = checkWish(settings, options)
    this.#session.assertOpen()
    const turn = clock.turn?.(clock.monotonic())
    if (turn) await turn
    this.#session.assertOpen()
    const current = this.#current()
    if (current) return guardOf(current)
    // Other callers in this process already wait in the queue: the lock is not free.
    if (this.#asking) return null
    const joined = this.#trying !== undefined
    this.#trying ??= this.#using((line) => tryOnce(this.#session, line, this.#wish, timeout ?? Infinity))
      .then((hold) => hold && this.#keep(hold))
      .finally(() => {
        this.#trying = undefined
      })
    const shared = await within(clock, this.#trying, joined ? timeout : undefined, undefined, () => null)
    return shared && guardOf(shared)
  }

  #current(now?: number): Shared | undefined {
    const shared = this.#shared
    return shared && shared.users > 0 && shared.hold.stands(now) ? shared : undefined
  }

  #keep(hold: Hold): Shared {
    const shared: Shared = { hold, users: 0, over: () => this.#shared === shared && this.#use(this.handle, false) }
    this.#shared = shared
    this.#use(this.handle, true)
    return shared
  }

  /** Waits with all other callers for one hold, each until its own timeout or signal. */
  async #wait(options: { timeout?: number | undefined; signal?: AbortSignal | undefined }): Promise<Guard> {
    const { clock, settings } = this.#session
    const { timeout, signal } = checkWish(settings, options)
    signal?.throwIfAborted()
    this.#session.assertOpen()
    const late = (): never => {
      throw this.#glance((line) => line.refusal(timeout))
    }
    if (timeout === 0) return (await this.tryAcquire({ timeout })) ?? late()
    const end = clock.monotonic() + (timeout ?? 0)
    for (;;) {
      const asking = this.#asking ?? this.#ask()
      asking.callers++
      try {
        const left = timeout === undefined ? undefined : Math.max(0, end - clock.monotonic())
        const shared = await within(clock, asking.shared, left, signal, late)
        if (!shared.hold.ended) return guardOf(shared)
        // A call of `tryAcquire` got the lock meanwhile and has released it again. No caller may join a request that has ended, or waiters would loop
        // for ever.
        if (this.#asking === asking) this.#asking = undefined
      } finally {
        if (--asking.callers === 0) this.#giveUp(asking)
      }
    }
  }

  #ask(): Asking {
    const stop = new AbortController()
    const asking: Asking = { shared: this.#using((line) => this.#take(line, stop.signal)), stop, callers: 0 }
    this.#asking = asking
    return asking
  }

  async #take(line: Line, signal: AbortSignal): Promise<Shared> {
    const tried = await this.#trying?.catch(() => null)
    return tried ?? this.#keep((await line.ask({ ...this.#wish, signal })) as Hold)
  }

  /** No caller waits any more: cancels the wait, or releases a lock that came too late for all of them. */
  #giveUp(asking: Asking): void {
    if (this.#asking === asking) this.#asking = undefined
    asking.stop.abort()
    asking.shared.then(
      ({ hold, users, over }) => {
        if (users > 0) return
        over?.()
        hold.release().catch(() => {})
      },
      () => {},
    )
  }
}
