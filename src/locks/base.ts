import { storedKey } from '../protocol/index.ts'
import { heldLock } from './held-handle.ts'
import type { Line } from './line.ts'
import { checkLockName, checkSettings, checkWish } from './options.ts'
import { followPage, isGone } from './page.ts'
import { checkRequest, holdWhile } from './request.ts'
import { acquire, tryOnce } from './seek.ts'
import { Session } from './session.ts'
import type { AcquireOptions, CoreLocks, HeldLock, LocksOptions, RequestOptions, TryOptions } from './types.ts'

/** What is behind a `CoreLocks`, for the parts of the surface that work on it. */
export class Base {
  readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  /** The key of a name that the Web Locks shape accepts. */
  anyKeyOf(name: string): string {
    return storedKey(this.session.settings.namespace, name)
  }

  /** Checks a lock's name, and returns its key. */
  keyOf(name: string): string {
    const { settings } = this.session
    checkLockName(settings, name)
    return storedKey(settings.namespace, name, false)
  }

  /** Keeps the line for a key in use while a call lasts. */
  async using<T>(key: string, name: string, act: (line: Line) => Promise<T>): Promise<T> {
    const { session } = this
    const line = session.line(key, name)
    try {
      return await act(line)
    } finally {
      session.lines.giveBack(line)
    }
  }

  /** A call in the Web Locks shape. */
  request<T>(name: string, options: RequestOptions, callback: (lock: HeldLock | null) => T): Promise<Awaited<T>> {
    const { session } = this
    const wish = checkRequest(session.settings, name, options)
    return this.using(this.anyKeyOf(name), name, (line) => holdWhile(session, line, wish, callback))
  }
}

const bases = new WeakMap<CoreLocks, Base>()

/** @throws TypeError if `createLocks` has not made these locks */
export function baseOf(locks: CoreLocks): Base {
  const base = bases.get(locks)
  if (!base) throw new TypeError('this works on what createLocks returned, and on nothing else')
  return base
}

/** The session behind locks that `createLocks` made; `undefined` for any others. */
export const sessionOf = (locks: CoreLocks): Session | undefined => bases.get(locks)?.session

/** The locks of one context, with the methods of `CoreLocks` only: `storelock/core` exports the other ones as functions. */
export function createCore(options: LocksOptions): CoreLocks {
  const settings = checkSettings(options)
  const session = new Session(settings)
  const base = new Base(session)
  const stopFollowing = followPage(session)
  const stopHearing = settings.clock.onDegraded?.((error) => session.warn({ type: 'degraded', names: [], error }))

  const locks: CoreLocks = {
    get session() {
      return session.id
    },

    async request<T>(name: string, ...rest: readonly unknown[]): Promise<Awaited<T>> {
      const [options, callback] = rest.length > 1 ? rest : [{}, rest[0]]
      if (typeof name !== 'string') throw new TypeError(`a lock's name must be a string, not ${name === null ? 'null' : typeof name}`)
      if (typeof callback !== 'function') throw new TypeError('the callback must be a function')
      return await base.request(name, options as RequestOptions, callback as (lock: HeldLock | null) => T)
    },

    async acquire(name: string, options: AcquireOptions = {}): Promise<HeldLock> {
      const key = base.keyOf(name)
      const wish = checkWish(settings, options)
      const line = session.line(key, name)
      try {
        return heldLock(await acquire(session, line, wish))
      } finally {
        session.lines.giveBack(line)
      }
    },

    async tryAcquire(name: string, { timeout, ...options }: TryOptions = {}): Promise<HeldLock | null> {
      const key = base.keyOf(name)
      const { timeout: patience = Infinity, ...wish } = checkWish(settings, { ...options, ...(timeout !== undefined && { timeout }) })
      const hold = await base.using(key, name, (line) => (wish.steal ? line.ask(wish) : tryOnce(session, line, wish, patience)))
      return hold && heldLock(hold)
    },

    async close() {
      stopFollowing()
      stopHearing?.()
      const closed = session.close()
      // If the document is gone, its locks are gone too, and no answer would arrive.
      if (!isGone()) await closed
    },
  }
  bases.set(locks, base)
  return locks
}
