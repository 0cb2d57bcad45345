import { type KeyCommand, storedKey } from '../protocol/index.ts'
import { command, expire, query } from './admin.ts'
import { ByName } from './by-name.ts'
import { heldLock } from './hold.ts'
import type { Line } from './line.ts'
import { checkLockName, checkSettings, checkWish } from './options.ts'
import { followPage, isGone } from './page.ts'
import { Reentrant } from './reentrant.ts'
import { asSpecified, assertFullyActive, checkRequest, holdWhile, requestOptions } from './request.ts'
import { acquire, tryOnce } from './seek.ts'
import { Session } from './session.ts'
import { sweep } from './sweep.ts'
import type { AcquireOptions, HeldLock, Locks, LocksOptions, ReentrantLock, TryOptions } from './types.ts'
import { requestArguments } from './webidl.ts'
import { whenFree } from './when-free.ts'

const sessions = new WeakMap<Locks, Session>()

/** The session behind locks that {@link createLocks} made; `undefined` for any others. */
export const sessionOf = (locks: Locks): Session | undefined => sessions.get(locks)

/**
 * This context's locks in a store. One object for each tab, worker or process is enough; it sends heartbeats only while it holds.
 * @throws TypeError, RangeError or LockError `invalid` if an option is wrong
 */
export function createLocks(options: LocksOptions): Locks {
  const settings = checkSettings(options)
  const session = new Session(settings)
  const stopFollowing = followPage(session)
  const stopHearing = settings.clock.onDegraded?.((error) => session.warn({ type: 'degraded', names: [], error }))
  const reentrants = new ByName<ReentrantLock>()
  /** The key of a name that the Web Locks shape accepts. */
  const anyKeyOf = (name: string): string => storedKey(settings.namespace, name)
  /** The key of a lock's name, once that is checked. */
  const keyOf = (name: string): string => {
    checkLockName(settings, name)
    return storedKey(settings.namespace, name, false)
  }
  const lineOf = (name: string): Line => session.line(keyOf(name), name)

  /** Keeps a line in use while a call lasts. */
  const using = async <T>(line: Line, act: () => Promise<T>): Promise<T> => {
    try {
      return await act()
    } finally {
      session.lines.giveBack(line)
    }
  }

  const order = async (name: string, make: (key: string) => KeyCommand): Promise<void> => {
    const key = keyOf(name)
    session.assertOpen()
    await command(session, name, make(key))
  }

  const locks: Locks = {
    get session() {
      return session.id
    },

    async request<T>(...args: unknown[]): Promise<Awaited<T>> {
      const { name, options, callback } = requestArguments(args, requestOptions)
      const wish = checkRequest(settings, name, options)
      const line = session.line(anyKeyOf(name), name)
      try {
        return await holdWhile(session, line, wish, callback as (lock: HeldLock | null) => T)
      } finally {
        session.lines.giveBack(line)
      }
    },

    async query(name) {
      const key = name === undefined ? undefined : anyKeyOf(String(name))
      assertFullyActive()
      session.assertOpen()
      return await asSpecified(query(session, key))
    },

    async acquire(name: string, options: AcquireOptions = {}): Promise<HeldLock> {
      const key = keyOf(name)
      const wish = checkWish(settings, options)
      const line = session.line(key, name)
      try {
        return heldLock(await acquire(session, line, wish))
      } finally {
        session.lines.giveBack(line)
      }
    },

    async tryAcquire(name: string, { timeout, ...options }: TryOptions = {}): Promise<HeldLock | null> {
      const key = keyOf(name)
      const { timeout: limit = Infinity, ...wish } = checkWish(settings, { ...options, ...(timeout !== undefined && { timeout }) })
      const line = session.line(key, name)
      const hold = await using(line, () => (wish.steal ? line.ask(wish) : tryOnce(session, line, wish, limit)))
      return hold && heldLock(hold)
    },

    reentrant(name, options = {}) {
      const key = keyOf(name)
      session.assertOpen()
      return reentrants.get(name, () => new Reentrant(session, key, name, checkWish(settings, options), reentrants.use).handle)
    },

    async whenFree(name, { signal } = {}) {
      const line = lineOf(name)
      await using(line, () => whenFree(session, line, signal))
    },

    async expire(name) {
      const line = lineOf(name)
      await using(line, () => expire(session, line))
    },

    revoke: (name, holder) => order(name, (key) => ({ type: 'revoke', key, session: holder })),
    pin: (name, entity) => order(name, (key) => ({ type: 'pin', key, entity })),
    unpin: (name, entity) => order(name, (key) => ({ type: 'unpin', key, entity })),

    sweep: (options) => sweep(session, options),

    async close() {
      stopFollowing()
      stopHearing?.()
      const closed = session.close()
      // The locks of a document that is gone went with it, and no answer would arrive.
      if (!isGone()) await closed
    },
  }
  sessions.set(locks, session)
  return locks
}
