import { ByName } from '../locks/by-name.ts'
import { type Clock, systemClock } from '../locks/clock.ts'
import type { LockWarning } from '../locks/events.ts'
import { heldLock } from '../locks/held-handle.ts'
import type { Hold } from '../locks/hold.ts'
import { checkLockName } from '../locks/options.ts'
import { assertNotGone, followPage, isGone } from '../locks/page.ts'
import { assertFullyActive } from '../locks/request.ts'
import { toConsole } from '../locks/to-console.ts'
import type { AcquireOptions, HeldLock, Locks, LocksSnapshot, ReentrantLock } from '../locks/types.ts'
import { requestArguments, requestOptions } from '../locks/webidl.ts'
import { checkDuration, LockError } from '../protocol/index.ts'
import type { Beacon } from '../store.ts'
import type { CallOptions } from './calls.ts'
import type { Endpoint } from './endpoint.ts'
import { Link } from './link.ts'
import { Dirt, RemoteReentrant } from './remote-reentrant.ts'
import { holdWhile } from './request.ts'

export interface WrapOptions {
  /** Shown to people who ask who holds a lock. Default: the label of the worker's locks. */
  label?: string | undefined
  /**
   * How long the worker may be silent while it owes an answer, in ms, in practice up to half as long again; all calls then fail with `store`, also if
   * there never was a worker. Default 10,000.
   */
  maxSilence?: number | undefined
  /**
   * Called when something goes wrong that no promise can report, such as renewals that start to fail. Default: `console.warn`, once for each type of
   * warning. Pass `onWarning() {}` to silence them.
   */
  onWarning?: ((warning: LockWarning) => void) | undefined
  /** Proves this context's death where there are no Web Locks: `sqliteStore(path).beacon`, with the path of the worker's store. */
  beacon?: Beacon | undefined
  clock?: Clock | undefined
}

/**
 * The locks that a worker exposes, for this context: the same API, and a session of its own. The worker does the waiting and the renewing, so a busy
 * or hidden page keeps its locks; callbacks and signals run here.
 *
 * @throws TypeError or RangeError if an option is wrong
 */
export function wrap(endpoint: Endpoint, options: WrapOptions = {}): Locks {
  const { label, maxSilence = 10_000, onWarning = toConsole(), beacon, clock = systemClock } = options
  if (typeof endpoint?.postMessage !== 'function') throw new TypeError('wrap needs a Worker, a MessagePort or the port of a SharedWorker')
  if (label !== undefined && typeof label !== 'string') throw new TypeError(`label must be a string, not ${typeof label}`)
  if (typeof maxSilence !== 'number' || !(maxSilence > 0))
    throw new RangeError(`maxSilence is a number of milliseconds above 0, not ${String(maxSilence)}`)
  const dirt = new Dirt()
  const reentrants = new ByName<ReentrantLock>()
  let asleep = false
  const connect = (): Link => new Link(endpoint, { clock, maxSilence, label, beacon, asleep, onWarning, granted: (hold) => dirt.note(hold) })
  let link = connect()
  let closed: LockError | undefined
  let closing: Promise<void> | undefined

  /** The current link. If the worker has fallen silent, the next call makes a new one. */
  const current = (): Link => {
    if (closed) throw closed
    assertNotGone()
    if (link.isOver) link = connect()
    return link
  }

  const stopFollowing = followPage({
    sleep(sleeps) {
      asleep = sleeps
      link.sleep(asleep)
    },
    leave() {
      asleep = true
      link.leave()
    },
  })

  return {
    get session() {
      return link.session
    },

    async request<T>(...args: unknown[]): Promise<Awaited<T>> {
      const { name, options, callback } = requestArguments(args, requestOptions)
      assertFullyActive()
      const { data, own } = split(options)
      return await holdWhile(current(), name, data, own, callback as (lock: HeldLock | null) => T)
    },

    async query(name) {
      assertFullyActive()
      return (await current().order('query', name === undefined ? [] : [String(name)])) as LocksSnapshot
    },

    async acquire(name: string, options: AcquireOptions = {}): Promise<HeldLock> {
      const { data, own } = split(options)
      return heldLock((await current().ask('acquire', name, data, own)) as Hold)
    },

    async tryAcquire(name: string, options = {}): Promise<HeldLock | null> {
      const { data, own } = split(options)
      const hold = await current().ask('tryAcquire', name, data, own)
      return hold && heldLock(hold)
    },

    reentrant(name, terms = {}) {
      current()
      // The worker has the policy, which judges the name and the duration later.
      checkLockName({ policy: {}, label }, name)
      if (terms.duration !== undefined) checkDuration({}, terms.duration)
      return reentrants.get(name, () => new RemoteReentrant(current, name, terms, dirt, clock, reentrants.use).handle)
    },

    async whenFree(name, { signal } = {}) {
      await current().order('whenFree', [name], signal)
    },

    async expire(name) {
      await current().order('expire', [name])
    },

    async revoke(name, session) {
      await current().order('revoke', [name, session])
    },

    async pin(name, entity) {
      await current().order('pin', [name, entity])
    },

    async unpin(name, entity) {
      await current().order('unpin', [name, entity])
    },

    async sweep(options) {
      return (await current().order('sweep', options === undefined ? [] : [options])) as number
    },

    async close() {
      if (!closing) {
        closed = new LockError('closed', 'these locks were closed')
        stopFollowing()
        closing = link.close(closed)
      }
      if (!isGone()) await closing
    },
  }
}

/** Separates what can be sent from what stays here. Invalid options are sent too, so that the worker rejects them. */
function split({ signal, onReleaseRequested, ...data }: AcquireOptions): { readonly data: object; readonly own: CallOptions } {
  const own = {
    ...(signal instanceof AbortSignal && { signal }),
    ...(typeof onReleaseRequested === 'function' && { onReleaseRequested }),
  }
  const wrong = { signal, onReleaseRequested }
  for (const [option, value] of Object.entries(wrong))
    if (value !== undefined && !Object.hasOwn(own, option)) Object.assign(data, { [option]: value })
  return { data, own }
}
