import type { Clock } from '../locks/clock.ts'
import { assertNotGone } from '../locks/page.ts'
import { guardOf, reentrantLock, type Shared } from '../locks/share.ts'
import type { AcquireOptions, Guard, ReentrantLock } from '../locks/types.ts'
import type { Link } from './link.ts'
import type { Way } from './protocol.ts'

/** How many names are kept: twice as many as the worker's session remembers. The worker's next grant of an older name is dirty. */
const capacity = 10_000

/** Whether each lock, by its name, is dirty: another session held it since it was last clean. */
export class Dirt {
  readonly #known = new Map<string, { readonly token: number; readonly dirty: boolean }>()

  /** A lock was granted: each grant counts once, however many share it. */
  note({ name, token, dirty }: { readonly name: string; readonly token: number; readonly dirty: boolean }): void {
    const known = this.#known.get(name)
    const soiled = dirty && token > (known?.token ?? 0)
    this.#known.delete(name)
    this.#known.set(name, { token, dirty: soiled || known?.dirty === true })
    if (this.#known.size > capacity) for (const oldest of this.#known.keys()) return void this.#known.delete(oldest)
  }

  has(name: string): boolean {
    return this.#known.get(name)?.dirty === true
  }

  clear(name: string): void {
    const known = this.#known.get(name)
    if (known) this.#known.set(name, { ...known, dirty: false })
  }
}

/** A lock that the worker shares among all users in this page; a user that finds it here does not ask the worker. */
export class RemoteReentrant implements ReentrantLock {
  readonly name: string
  readonly handle: ReentrantLock = reentrantLock(this)
  readonly #link: () => Link
  readonly #terms: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'>
  readonly #dirt: Dirt
  readonly #clock: Clock
  readonly #use: (handle: ReentrantLock, inUse: boolean) => void
  readonly #shared = new Set<Shared>()

  constructor(
    link: () => Link,
    name: string,
    terms: Pick<AcquireOptions, 'duration' | 'metadata' | 'maxHold'>,
    dirt: Dirt,
    clock: Clock,
    use: (handle: ReentrantLock, inUse: boolean) => void,
  ) {
    this.#use = use
    this.#link = link
    this.name = name
    this.#terms = terms
    this.#dirt = dirt
    this.#clock = clock
  }

  get dirty(): boolean {
    return this.#dirt.has(this.name)
  }

  clearDirty(): void {
    this.#dirt.clear(this.name)
  }

  isHeld(): boolean {
    return this.#current() !== undefined
  }

  async acquire({ signal, ...options }: { timeout?: number | undefined; signal?: AbortSignal | undefined } = {}): Promise<Guard> {
    assertNotGone()
    return (await this.#share('share', options, signal)) as Guard
  }

  tryAcquire(options: { timeout?: number | undefined } = {}): Promise<Guard | null> {
    return this.#share('tryShare', options)
  }

  async #share(way: Way, options: object, signal?: AbortSignal): Promise<Guard | null> {
    assertNotGone()
    const turn = this.#clock.turn?.(this.#clock.monotonic())
    if (turn) await turn
    const current = this.#current()
    if (current && !signal?.aborted) return guardOf(current)
    const hold = await this.#link().ask(way, this.name, { ...options, terms: this.#terms }, { signal })
    if (!hold) return null
    const shared: Shared = {
      hold,
      users: 0,
      over: () => {
        this.#shared.delete(shared)
        this.#use(this.handle, this.#shared.size > 0)
      },
    }
    this.#shared.add(shared)
    this.#use(this.handle, true)
    return guardOf(shared)
  }

  #current(): Shared | undefined {
    for (const shared of this.#shared) {
      if (shared.users === 0 || shared.hold.ended) this.#shared.delete(shared)
      else if (shared.hold.isHeld()) return shared
    }
    return undefined
  }
}
