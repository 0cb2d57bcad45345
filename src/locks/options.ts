import { checkDuration, checkName, type Json, LockError, maxLimit, nameFault } from '../protocol/index.ts'
import { abortSignal } from './abort.ts'
import { longestTimer, systemClock } from './clock.ts'
import { leaseFor } from './core/grant.ts'
import type { Settings } from './home.ts'
import { toConsole } from './to-console.ts'
import type { AcquireOptions, LocksOptions } from './types.ts'
import type { Wish } from './wish.ts'

/**
 * Checks the options and fills in the defaults.
 * @throws TypeError, RangeError or LockError `invalid`, saying what is wrong and what would be right
 */
export function checkSettings(options: LocksOptions): Settings {
  const {
    store,
    duration = 10_000,
    maxBackoff = 1_000,
    linger = 0,
    maxHold,
    deadlock = 'warn',
    label,
    namespace = '',
    policy = {},
    expiry = 'auto',
    clock = systemClock,
  } = options
  if (typeof store?.apply !== 'function') throw new TypeError('createLocks needs a store, such as { store: memoryStore() }')
  checkDuration(policy, duration)
  checkMs('maxBackoff', maxBackoff, 1, longestTimer)
  checkMs('linger', linger, 0)
  if (maxHold !== undefined) checkMs('maxHold', maxHold, 1)
  oneOf('deadlock', deadlock, ['warn', 'reject'])
  for (const [option, text] of Object.entries({ label: label ?? '', namespace })) {
    if (typeof text !== 'string') throw new TypeError(`${option} must be a string, not ${typeof text}`)
  }
  if (namespace && nameFault(namespace)) throw new LockError('invalid', `the namespace ${nameFault(namespace)}`)
  oneOf('expiry', expiry, ['auto', 'manual'])
  const { onWarning = toConsole(), observe } = options
  for (const [option, listener] of Object.entries({ onWarning, observe }))
    if (listener !== undefined && typeof listener !== 'function') throw new TypeError(`${option} must be a function, not ${typeof listener}`)
  return { store, clock, duration, maxBackoff, linger, maxHold, deadlock, label, namespace, policy, expiry, onWarning, observe }
}

/** @throws TypeError if the name is not a string; LockError `invalid` if it cannot be a lock's name or the policy refuses it */
export function checkLockName({ policy, label }: Pick<Settings, 'policy' | 'label'>, name: string): void {
  if (typeof name !== 'string') throw new TypeError(`a lock's name must be a string, not ${name === null ? 'null' : typeof name}`)
  const fault = nameFault(name)
  if (fault) throw new LockError('invalid', `the lock's name ${fault}`)
  checkName(policy, name, label)
}

/** The options of a request, checked. */
export function checkWish(settings: Settings, options: AcquireOptions): Wish {
  const { mode = 'exclusive', limit, timeout, signal, duration = settings.duration, renew = 'auto', steal = false, metadata } = options
  const { ask, grace, maxHold = settings.maxHold, ifNoQueue, onReleaseRequested } = options
  oneOf('mode', mode, ['exclusive', 'shared'])
  oneOf('renew', renew, ['auto', 'manual'])
  if (duration !== settings.duration) checkDuration(settings.policy, duration)
  if (timeout !== undefined) checkMs('timeout', timeout, 0)
  if (maxHold !== undefined) checkMs('maxHold', maxHold, 1)
  if (signal !== undefined) abortSignal(signal)
  if (limit !== undefined) {
    if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit)
      throw new RangeError(`limit is a whole number from 1 to ${maxLimit}, not ${String(limit)}`)
    if (steal || mode === 'shared') throw new TypeError('`limit` contradicts `steal` and `mode: "shared"`: leave out one of them')
  }
  if (steal && mode === 'shared') throw new TypeError('steal takes an exclusive lock: leave out `mode: "shared"`')
  if (steal && ifNoQueue) throw new TypeError('steal goes ahead of the queue: leave out `ifNoQueue`')
  if (metadata !== undefined) checkJson('metadata', metadata)
  if (ask !== undefined) checkJson('ask', ask)
  if (grace !== undefined) checkMs('grace', grace, 0)
  if ((grace !== undefined) !== (ask !== undefined && steal)) {
    throw new TypeError('`ask` with `steal` needs `grace`, how long the holders may take to release; and `grace` needs both')
  }
  if (onReleaseRequested !== undefined && typeof onReleaseRequested !== 'function') throw new TypeError('onReleaseRequested must be a function')
  const manual = renew === 'manual'
  // One literal, since each request makes this object: with a spread and this many properties V8 takes about 10 µs for it.
  return {
    mode,
    // A limit of one is a plain exclusive lock.
    limit: limit === 1 ? undefined : limit,
    timeout,
    signal,
    duration,
    lease: manual || duration !== settings.duration ? leaseFor(duration) : undefined,
    manual,
    maxHold,
    ifNoQueue,
    steal,
    metadata,
    ask,
    grace,
    onReleaseRequested,
  }
}

function checkMs(option: string, ms: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (typeof ms !== 'number' || !(ms >= least && ms <= most)) {
    throw new RangeError(`${option} is a number of milliseconds from ${least} to ${most}, not ${String(ms)}`)
  }
}

function checkJson(option: string, value: Json): void {
  let text: string | undefined
  try {
    text = JSON.stringify(value, kept)
  } catch (cause) {
    throw new TypeError(`${option} must be plain JSON data`, { cause })
  }
  if (text === undefined) throw new TypeError(`${option} must be plain JSON data`)
}

/** For `JSON.stringify`. @throws TypeError for functions, symbols and non-finite numbers, which JSON would silently drop or turn into `null` */
function kept(_: string, value: unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol' || (typeof value === 'number' && !Number.isFinite(value)))
    throw new TypeError(`JSON has no ${String(value)}`)
  return value
}

function oneOf(option: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new TypeError(`${option} is ${allowed.map((name) => `'${name}'`).join(' or ')}, not ${String(value)}`)
}
