import type { LockError } from '../protocol/index.ts'
import type { Hold } from './hold.ts'
import type { Line } from './line.ts'
import { checkMode, checkWish } from './options.ts'
import type { Settings } from './session.ts'
import type { HeldLock, RequestOptions } from './types.ts'
import type { Wish } from './wish.ts'

/** The arguments of a Web-Locks-shaped call, checked in the order and with the errors of that specification. */
export function checkRequest(settings: Settings, options: RequestOptions, callback: unknown): Wish {
  const { mode = 'exclusive', ifAvailable = false, steal = false, signal, timeout, ask, grace, onReleaseRequested } = options
  checkMode(mode)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal')
  if (typeof callback !== 'function') throw new TypeError('the callback must be a function')
  const contradiction =
    steal && ifAvailable
      ? 'steal and ifAvailable'
      : steal && mode === 'shared'
        ? "steal and mode 'shared'"
        : signal && ((steal && ask === undefined) || ifAvailable)
          ? `signal and ${steal ? 'steal' : 'ifAvailable'}`
          : ask !== undefined && ifAvailable
            ? 'ask and ifAvailable'
            : undefined
  if (contradiction) throw notSupported(`${contradiction} contradict each other`)
  const given = Object.fromEntries(Object.entries({ timeout, signal, ask, grace, onReleaseRequested }).filter(([, value]) => value !== undefined))
  return { ...checkWish(settings, { mode, steal, ...given }), ifAvailable }
}

/** Names that start with a hyphen are reserved by the specification. */
export function checkRequestName(name: string): void {
  if (name.startsWith('-')) throw notSupported('a name that starts with "-" is reserved')
}

const notSupported = (message: string): DOMException => new DOMException(message, 'NotSupportedError')

/** Holds the lock while the callback runs; its result, or its error, is the call's. */
export async function holdWhile<T>(line: Line, wish: Wish, callback: (lock: HeldLock | null) => T): Promise<Awaited<T>> {
  const hold = await (wish.ifAvailable ? line.askNow(wish) : line.ask(wish))
  if (!hold) return await callback(null)
  try {
    const result = await Promise.race([stolen(hold), run(hold, callback)])
    hold.expireIfDue()
    if (hold.error?.code === 'lost') throw hold.error
    return result
  } finally {
    // The result matters more than a release that failed, which is tried again in the background.
    await hold.release().catch(() => {})
  }
}

const run = async <T>(hold: Hold, callback: (lock: HeldLock) => T): Promise<Awaited<T>> => await callback(hold)

/** Rejects when another request takes the lock while it is still good: the specification does not wait for the callback then. */
const stolen = (hold: Hold): Promise<never> =>
  new Promise((_, reject) => {
    hold.onTaken = (error: LockError) => reject(new DOMException(error.message, 'AbortError'))
  })
