import { LockError } from '../protocol/index.ts'
import { leaseFor } from './core/grant.ts'
import { type LetGo, letGo, stillStands } from './core/known.ts'
import type { Home } from './home.ts'

/** A release or withdrawal that was not carried out yet. */
class Left {
  /** Resolves when it has been carried out. */
  readonly gone: Promise<void>
  /** When it was first sent, in ms. */
  readonly since: number
  /** Why it last failed. */
  error: unknown
  /** Whether it is being sent again now. */
  trying = false
  resolve!: () => void
  reject!: (error: unknown) => void

  constructor(since: number, error: unknown) {
    this.since = since
    this.error = error
    this.gone = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/** Releases and withdrawals that must reach the store: failed ones are sent again, until they succeed or the lease has ended. */
export class Unsaid {
  readonly #session: Home
  readonly #left = new Map<LetGo, Left>()

  constructor(session: Home) {
    this.#session = session
  }

  /**
   * Makes sure that a lock is released or a request withdrawn. Resolves when the store has carried that out, by any try. Rejects if that has become
   * impossible; the lock then ends with its lease. A caller that does not await this gets a warning, and no unhandled rejection.
   */
  letGo(what: LetGo, name: string): Promise<void> {
    // A look may find a grant that is already being released.
    for (const [other, { gone }] of this.#left) if (isSame(what, other)) return gone
    const since = this.#session.clock.monotonic()
    const gone: Promise<void> = this.#say(what).catch((error) => {
      gone.catch(() => {})
      return this.#keep(what, name, since, error)
    })
    return gone
  }

  /** Sends it. Rejects if it was not carried out. */
  async #say(what: LetGo): Promise<void> {
    const { outcome } = await this.#session.send(letGo(what))
    if (outcome.type === 'failed') throw new LockError(outcome.code, outcome.message)
    if (stillStands(outcome, what)) await this.#say({ ...what, token: undefined })
  }

  async #keep(what: LetGo, name: string, since: number, error: unknown): Promise<void> {
    const session = this.#session
    if (session.isClosed) throw error
    session.warn({ type: 'release', names: [name], error: error as LockError })
    if (!mayPass(error)) throw error
    const left = new Left(since, error)
    this.#left.set(what, left)
    session.heart.wakeSoon()
    return left.gone
  }

  /** Sends everything again. @returns whether anything is left */
  sayAgain(now: number): boolean {
    const session = this.#session
    const { heart, id, settings } = session
    let hopeless = false
    for (const [what, left] of this.#left) {
      const own = what.session === id
      const isOver = now - left.since > leaseFor(settings.duration) && !(own && heart.beats.renewedAt > left.since)
      if (isOver) left.reject(left.error)
      // As long as the session's row may be renewed, a hold that was not released may stay alive with it.
      if (isOver && !(own && heart.leases.size)) this.#left.delete(what)
      else if (!left.trying) this.#sayAgain(what, left)
      hopeless ||= isOver && own && !heart.leases.size
    }
    // Without further beats of the session, everything that could not be withdrawn lapses by itself.
    if (hopeless) session.end('its store failed for too long')
    return this.#left.size > 0
  }

  /** Sends everything for a last time. Resolves when that is done. */
  async sayLast(): Promise<void> {
    await Promise.all(Array.from(this.#left, ([what, left]) => this.#sayAgain(what, left)))
    for (const { error, reject } of this.#left.values()) reject(error)
    this.#left.clear()
  }

  async #sayAgain(what: LetGo, left: Left): Promise<void> {
    left.trying = true
    try {
      await this.#say(what)
      this.#left.delete(what)
      left.resolve()
    } catch (error) {
      left.error = error
      left.trying = false
      if (!mayPass(error) && this.#left.delete(what)) left.reject(error)
    }
  }
}

/** Whether a failure may be temporary: not if the store is closed, or the record cannot be read. */
const mayPass = (error: unknown): boolean => (error as LockError).code === 'store'

const isSame = (one: LetGo, other: LetGo): boolean => one.key === other.key && one.session === other.session && one.number === other.number
